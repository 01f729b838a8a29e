//! The bytes that requests hold: a request takes its share before it reads its body. First come, first served, but one
//! project leaves others half of what is free.

use std::time::Duration;

use tokio::time::timeout;

use super::error::Error;
use super::limits::IN_FLIGHT_BYTES_MAX;
use crate::memory::{Budget, Charge};
use crate::tenant::ProjectName;

#[derive(Debug)]
pub struct Memory {
    budget: Budget,
    patience: Duration,
}

impl Memory {
    pub fn new(patience: Duration) -> Self {
        Self {
            budget: Budget::new(IN_FLIGHT_BYTES_MAX),
            patience,
        }
    }

    /// Bytes that are spoken for; free again when the charge is dropped.
    pub async fn take(&self, project: &ProjectName, bytes: usize) -> Result<Charge, Error> {
        let taken = self.budget.reserve(Some(project.clone()), bytes as u64);
        timeout(self.patience, taken).await.map_err(|_| Error::Busy)
    }
}
