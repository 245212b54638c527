# Recipes for work on hookctl; `just` lists them. `.ci/run` does the same steps without just, and installs what tests drive.

_default:
    @just --list

# What is checked before a merge: formatting, lints, tests
check: format lint test

# Formatting
format:
    cargo fmt --check

# Lints, warnings refused
lint:
    cargo clippy --all-targets --locked -- -D warnings

# The tests, or those of a name: `just test guides`
test NAME="":
    cargo test --locked {{NAME}}

# The long form of the fault tests
test-long:
    HOOKCTL_TEST_LONG=1 cargo test --locked --test it fault

# The benchmarks, or one: `just bench emit`
bench NAME="":
    cargo bench --bench figures -- {{NAME}}

# Completions, manual pages and what the guides show of files, written anew
docs:
    UPDATE=1 cargo test --locked --test it -- artifacts guides
