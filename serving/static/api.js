// The one way to the API.

const KEY = "fx-key";

/** An RFC 9457 problem document, or the lack of any answer. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.title ?? `HTTP ${status}`);
    this.status = status;
    this.title = document.title ?? "";
    this.remedy = document.remedy ?? "";
    this.type = document.type ?? "";
  }
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** The JSON of a path below the page, such as "v1/forecasts". */
export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const headers = { accept: "application/json" };
  if (hasKey()) headers["x-api-key"] = sessionStorage.getItem(KEY);
  let response;
  try {
    // Ask each time; an unchanged answer costs a 304.
    response = await fetch(query ? `${path}?${query}` : path, { headers, cache: "no-cache" });
  } catch {
    throw new Problem(0, {
      title: "No answer",
      detail: "The server does not answer.",
      remedy: "The page asks again each minute. If that does not help, tell whoever runs the server.",
    });
  }
  if (response.ok) return response.json();
  throw new Problem(response.status, await response.json().catch(() => ({})));
}

/** What there is to know about one forecast. */
export async function forecast(name) {
  const base = `v1/forecasts/${encodeURIComponent(name)}`;
  const [status, model, performance, live] = await Promise.all(
    ["status", "model", "performance", "live"].map((part) => get(`${base}/${part}`)),
  );
  const latest = status.predictions_issued_at ? await get(`${base}/latest`) : null;
  return { name, status, model, performance, live, latest };
}

/** Bars and predictions, oldest first; at most `limit` of each. */
export async function records(name, limit) {
  const base = `v1/forecasts/${encodeURIComponent(name)}`;
  const [prices, backtest, issued] = await Promise.all([
    get(`${base}/prices`, { features: false, limit }),
    get(`${base}/history`, { mode: "backtest", limit }),
    get(`${base}/history`, { mode: "issued", limit }),
  ]);
  const rows = (answer) => answer.rows.toReversed();
  return {
    prices: rows(prices),
    backtest: rows(backtest),
    issued: rows(issued),
    more: Boolean(prices.next ?? backtest.next ?? issued.next),
  };
}
