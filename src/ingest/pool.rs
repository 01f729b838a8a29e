//! CPU work off the I/O threads: a fixed pool of one thread a core, each with buffers that it reuses.
//!
//! `spawn_blocking` would run hundreds of decoders at once, each with its own buffers; here what cannot run yet waits
//! in a queue whose bytes are already charged to the memory budget.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use crate::logs::{Encoder, GroupCloser};
use crate::records::Decoder;

/// What decoding and compressing need, kept from one batch to the next.
#[derive(Default)]
pub struct Worker {
    pub decoder: Decoder,
    pub encoder: Encoder,
    pub closer: GroupCloser,
}

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The pool; its threads end when it is dropped.
pub struct Pool {
    jobs: mpsc::Sender<Job>,
}

impl Pool {
    /// Starts one thread a core.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let count = thread::available_parallelism().map_or(1, usize::from);
        for index in 0..count {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("decode-{index}"))
                .spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// Queues `job`; it runs on some thread of the pool.
    pub fn run(&self, job: impl FnOnce(&mut Worker) + Send + 'static) {
        // The threads live as long as `self`, so the queue has a reader.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    let mut worker = Worker::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic is a bug of ours in one batch: its waiters are told by what the job drops, the thread goes on
        // with fresh buffers.
        if catch_unwind(AssertUnwindSafe(|| job(&mut worker))).is_err() {
            worker = Worker::default();
        }
    }
}

thread_local! {
    static INLINE: RefCell<Worker> = RefCell::new(Worker::default());
}

/// Runs small work at once on this thread, with the thread's own reused buffers. `None`: it panicked; as on the pool,
/// that concerns one batch only, and the thread goes on with fresh buffers.
pub fn inline<T>(work: impl FnOnce(&mut Worker) -> T) -> Option<T> {
    INLINE.with_borrow_mut(|worker| {
        let done = catch_unwind(AssertUnwindSafe(|| work(worker))).ok();
        if done.is_none() {
            *worker = Worker::default();
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_runs_on_one_thread_a_core_however_much_there_is() {
        let pool = Pool::start().expect("threads");
        let (done, told) = channel();
        for _ in 0..500 {
            let done = done.clone();
            pool.run(move |_| done.send(thread::current().id()).expect("it is awaited"));
        }
        drop(done);
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads.len(), 500);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        assert!(threads.into_iter().collect::<HashSet<_>>().len() <= cores);
    }

    #[test]
    fn a_panic_in_one_batch_does_not_end_its_thread() {
        assert!(inline(|_| panic!("a bug in one batch")).is_none_or(|()| false));
        assert_eq!(inline(|_| 1), Some(1));
        let pool = Pool::start().expect("threads");
        for _ in 0..20 {
            pool.run(|_| panic!("a bug in one batch"));
        }
        let (done, told) = channel();
        pool.run(move |_| done.send(()).expect("it is awaited"));
        assert_eq!(told.recv(), Ok(()));
    }
}
