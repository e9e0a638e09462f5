// What the champion is and where it comes from.

import { card, datum, facts, h, table } from "../dom.js";
import * as words from "../words.js";

export function modelCard({ model }) {
  const { champion, training, mlflow, parity } = model;
  return card(
    "Model card",
    {},
    h(
      "div",
      { class: "columns" },
      facts([
        ["Champion", `${champion.name}${champion.family === model.baseline ? baseline(model.wording) : ""}`],
        ["Version", datum("card-version", champion.version, champion.version)],
        ["Recipe", h("code", {}, champion.recipe)],
        ["Code version", h("code", {}, champion.code_version)],
        ["Parameters", parameters(model.params)],
        ["Seed", String(model.seed)],
        ["Published", words.moment(model.published_at)],
      ]),
      facts([
        ["Feed", model.feed],
        ["Predicts", `${model.target} over ${model.horizon} bar${model.horizon === 1 ? "" : "s"}: ${model.unit}`],
        ["Usual without work", model.skill.verdict?.reference.name ?? (model.reference.called || model.reference.family)],
        ["Feature set", model.feature_set],
        ["Caveat", model.skill.caveat],
        ["Training rows", datum("card-rows", training.rows, words.count(training.rows))],
        ["Trained through", words.bar(training.trained_through_day, training.trained_through)],
        ["Last label known", words.moment(training.label_end)],
        ["Row hash", h("code", {}, training.row_hash)],
      ]),
      facts([
        ["Delta versions", versions(training.table_versions)],
        ["MLflow model", mlflow.version === null ? null : `${mlflow.registered_model}, version ${mlflow.version}`],
        ["MLflow run", h("code", {}, mlflow.run_id)],
        ["Dagster run", training.dagster_run_id && h("code", {}, training.dagster_run_id)],
        ["ONNX against fitted", `${words.short(parity.measured)}, tolerance ${words.short(parity.tolerance)}`],
        ["model.onnx", model.files["model.onnx"] && h("code", {}, model.files["model.onnx"].sha256)],
      ]),
    ),
    h(
      "details",
      {},
      h("summary", {}, `${words.count(model.inputs.length)} input${model.inputs.length === 1 ? "" : "s"}`),
      table(
        "Inputs of the model",
        ["Input", "Unit", "Least in training", "Greatest in training"],
        model.inputs.map((row) => [h("code", {}, row.name), row.unit, words.short(row.least), words.short(row.greatest)]),
      ),
    ),
  );
}

const baseline = ({ baseline: says }) => `, the baseline${says ? `: ${says}` : ""}`;

function parameters(params) {
  const all = Object.entries(params);
  return all.length ? all.map(([name, value]) => `${name} = ${value}`).join(", ") : "none";
}

function versions(tables) {
  return h("ul", { class: "bare" }, Object.entries(tables).map(([name, version]) => h("li", {}, `${name} @ ${version}`)));
}
