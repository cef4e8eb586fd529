#!/usr/bin/env bash
# Clippy, with its warnings as errors; for check-operation.sh, which says why it isn't called by its own name.
exec clippy-driver "$@" -D warnings
