#!/bin/sh
# Takes out of a virtual environment what only compilers, other programs and GPUs use: a third of it.
#   slim.sh /venv
set -eu
cd "$1"/lib/python3*/site-packages

# Arrow's headers, its network protocol, and second copies of its libraries.
rm -rf pyarrow/include pyarrow/src pyarrow/*flight* pyarrow/_pyarrow_cpp_tests*
for full in pyarrow/lib*.so.*.*.*; do
  [ -e "$full" ] || continue
  name=$(basename "$full")
  ln -sf "$name" "${full%.*.*}"
  ln -sf "$name" "${full%.so.*}.so"
done

# ONNX Runtime for C, and what makes models smaller.
rm -rf onnxruntime/capi/libonnxruntime.so* onnxruntime/tools onnxruntime/transformers \
  onnxruntime/quantization

# AWS's services other than storage, the credentials for it, and what launches runs on ECS.
find botocore/data -mindepth 1 -maxdepth 1 -type d \
  ! -name s3 ! -name sts ! -name sso ! -name sso-oidc \
  ! -name ecs ! -name ec2 ! -name secretsmanager ! -name logs -exec rm -rf {} +
[ ! -d botocore/data/ec2 ] || find botocore/data/ec2 -mindepth 1 -maxdepth 1 ! -name 2016-11-15 -exec rm -rf {} +

# Kubernetes' client a second time, for asyncio; made-up names in other languages; examples of data.
rm -rf kubernetes/aio
[ ! -d faker ] || find faker/providers -mindepth 2 -maxdepth 2 -type d ! -name 'en*' ! -name __pycache__ -exec rm -rf {} +
[ ! -d statsmodels ] || find statsmodels/datasets sklearn/datasets -name '*.csv*' -delete
rm -rf sklearn/datasets/images plotly/package_data/datasets

# Exchanges are asked one after the other; notebooks are elsewhere.
rm -rf ccxt/async_support ccxt/pro jupyterlab_plotly numpy/distutils

# Debugging symbols, sources and tests.
strip --strip-unneeded pyarrow/libarrow*.so.*.*.* pyarrow/libarrow.so.* pyarrow/libarrow_compute.so.* \
  uvloop/*.so talib/*.so cryptography/hazmat/bindings/_rust.abi3.so 2>/dev/null || true
rm -rf onnx/backend/test
for package in arch matplotlib networkx numpy pandas pyarrow scipy sklearn statsmodels; do
  [ ! -d "$package" ] || find "$package" -type d -name tests -prune -exec rm -rf {} +
done
find . -type f \( -name '*.pyi' -o -name '*.pxi' -o -name '*.pyx' -o -name '*.js.map' \) -delete
rm -f talib/*.c uvloop/*.c
# Plotly's thousands of classes are read one at a time, and rarely.
find plotly/validators plotly/graph_objs -name '*.pyc' -delete 2>/dev/null || true

"$1"/bin/python -c 'import onnxruntime, pyarrow.compute, pyarrow.dataset, pyarrow.parquet, talib, uvloop'
