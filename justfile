# Recipes for work on hookctl; `just` lists them. `.ci/run` does the same steps without just, and installs what tests drive.

_default:
    @just --list

# What is checked before a merge: formatting, lints, tests
check: format lint test model

# Formatting
format:
    cargo fmt --check

# Lints, warnings refused
lint:
    cargo clippy --all-targets --locked -- -D warnings

# The tests, or those of a name: `just test guides`
test NAME="":
    RUST_TEST_THREADS=$((2 * $(nproc))) cargo test --locked {{NAME}}

# The integration tests on PostgreSQL, or those of a name, with a server of their own: Debian's package is postgresql
test-postgres NAME="":
    HOOKCTL_TEST_ENGINE=postgres cargo test --locked --test it -- {{NAME}}

# The long form of the fault tests and of fuzzing
test-long:
    HOOKCTL_TEST_LONG=1 cargo test --locked --test it fault -- --nocapture
    HOOKCTL_TEST_LONG=1 cargo test --locked --bin hookctl fuzz:: -- --nocapture

# The model of the claim protocol, outside the program
model:
    cargo test --locked --manifest-path model/Cargo.toml

# A fuzz target for so many seconds, with a nightly compiler and cargo-fuzz: `just fuzz url 60`
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/found/{{TARGET}}
    cargo +nightly fuzz run -s none {{TARGET}} fuzz/found/{{TARGET}} fuzz/corpus/{{TARGET}} -- -max_total_time={{SECONDS}}

# Changes of one place in a file, each run against the unit tests, with cargo-mutants: `just mutants src/store/claims.rs`
mutants FILE:
    cargo mutants --in-place --file {{FILE}} --timeout 120 -- --bin hookctl -- delivery:: domain:: http:: store::

# The benchmarks, or one: `just bench emit`
bench NAME="":
    cargo bench --bench figures -- {{NAME}}

# Completions, manual pages and what the guides show of files, the fuzz crate's dependencies: written anew
docs:
    UPDATE=1 cargo test --locked --test it -- artifacts guides
    UPDATE=1 cargo test --locked --bin hookctl fuzz::tests::the_crate
