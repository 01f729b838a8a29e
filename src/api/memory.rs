//! The bytes that requests hold, first come first served: a request takes its share before it reads its body.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::Error;
use super::limits::IN_FLIGHT_BYTES_MAX;

/// Bytes are counted in these units.
const UNIT: usize = 1024;

#[derive(Debug)]
pub struct Memory {
    units: Arc<Semaphore>,
    patience: Duration,
}

/// Bytes that are spoken for; free again when dropped.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

impl Memory {
    pub fn new(patience: Duration) -> Self {
        Self {
            units: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX / UNIT)),
            patience,
        }
    }

    pub async fn take(&self, bytes: usize) -> Result<Share, Error> {
        // No request takes more than there is: its parts are bounded far below.
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| Error::Busy)?;
        let taken = Arc::clone(&self.units).acquire_many_owned(units);
        match timeout(self.patience, taken).await {
            Ok(Ok(permit)) => Ok(Share(permit)),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }
}

impl Share {
    /// Gives back what is over so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let over = self.0.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.0.split(over));
    }
}
