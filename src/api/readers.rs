//! Work that blocks: reading the store, and what takes long on a processor. A few threads at once, each with a reading
//! connection of its own that the next one uses again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::Error;
use super::limits::WORKERS_MAX;
use crate::backend::embedded::reader::Reader;

#[derive(Debug)]
pub struct Readers {
    data_dir: PathBuf,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Reader>>>,
    patience: Duration,
}

impl Readers {
    pub fn new(data_dir: PathBuf, patience: Duration) -> Self {
        Self {
            data_dir,
            places: Arc::new(Semaphore::new(WORKERS_MAX)),
            idle: Arc::default(),
            patience,
        }
    }

    /// Looks into the store on a thread where that may take its time.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let idle = Arc::clone(&self.idle);
        let data_dir = self.data_dir.clone();
        self.work(move || {
            let pop = || lock(&idle).pop();
            let reader = match pop() {
                Some(reader) => reader,
                None => open(&data_dir)?,
            };
            let found = look(&reader);
            // One that failed may fail again; the next request opens another.
            if !matches!(found, Err(Error::Unreadable)) {
                lock(&idle).push(reader);
            }
            found
        })
        .await
    }

    /// Does something long. It ends even if nobody waits for it any more.
    pub async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = timeout(self.patience, place).await;
        let Ok(Ok(place)) = place else {
            return Err(Error::Busy);
        };
        let done = spawn_blocking(move || {
            let outcome = job();
            drop(place);
            outcome
        });
        // A job that panicked is our mistake; the request fails, the others go on.
        done.await.unwrap_or(Err(Error::Uncertain))
    }
}

fn lock(idle: &Mutex<Vec<Reader>>) -> std::sync::MutexGuard<'_, Vec<Reader>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(data_dir: &std::path::Path) -> Result<Reader, Error> {
    Reader::open(data_dir).map_err(|error| {
        tracing::error!(%error, "cannot open the store for reading");
        Error::Unreadable
    })
}
