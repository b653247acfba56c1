//! Why a run could not be completed, as one sentence for a person.

use std::fmt;

/// A sentence that says what failed and, where known, what would help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when a lower error came up.
pub(crate) trait Context<T> {
    /// The cause with what was being done in front of it.
    fn during(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn during(self, what: &str) -> Result<T, Failure> {
        self.map_err(|cause| Failure(format!("{what}: {cause}")))
    }
}
