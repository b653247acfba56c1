//! Whether to measure at all.

/// Whether this run measures. `cargo bench -- --test` and `cargo test --benches` only want to see
/// that a benchmark runs: then sizes are small and figures mean nothing.
pub(crate) fn is_measuring() -> bool {
    let has = |wanted: &str| std::env::args().any(|arg| arg == wanted);
    has("--bench") && !has("--test")
}
