//! Criterion, set up once for all benchmarks that use it.

use std::time::Duration;

use criterion::Criterion;

/// Runs benchmarks as the command line asks for.
pub(crate) fn run(benchmarks: impl FnOnce(&mut Criterion)) {
    let mut criterion = Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    benchmarks(&mut criterion);
    criterion.final_summary();
}
