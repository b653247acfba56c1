//! The longest time something may take that waits for the server.
//!
//! By the runtime's own timer: it ticks in milliseconds, which is enough for a deadline, and costs
//! no descriptor.

use std::time::Duration;

use crate::failure::Failure;

/// How long a connect may take, from the first packet to the session accepted.
pub(super) const CONNECT: Duration = Duration::from_secs(30);

/// How long a call of the API may take.
pub(super) const CALL: Duration = Duration::from_secs(10);

/// Does the work, or fails with `missing`, which names what has not happened, and the time.
pub(super) async fn within<T>(
    limit: Duration,
    missing: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match monoio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Failure::new(format!("{missing} within {} s", limit.as_secs_f64()))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs what a worker would.
    pub(in super::super) fn block_on<T>(work: impl Future<Output = T>) -> T {
        let builder = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer();
        builder.build().unwrap().block_on(work)
    }

    #[test]
    fn work_that_never_ends_fails_by_name_and_other_work_keeps_its_outcome() {
        block_on(async {
            let never = std::future::pending::<Result<(), Failure>>();
            let failure = within(Duration::from_millis(5), "not accepted", never).await;
            assert_eq!(failure.unwrap_err().to_string(), "not accepted within 0.005 s");
            assert_eq!(within(CALL, "no answer", async { Ok(7) }).await, Ok(7));
            let refused = Failure::new("refused");
            let failed = async { Err::<(), _>(refused.clone()) };
            assert_eq!(within(CALL, "no answer", failed).await, Err(refused.clone()));
        });
    }
}
