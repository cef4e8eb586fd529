#!/usr/bin/env bash
# The compiler as it is; for check-operation.sh, which says why.
exec "$@"
