//! CPU work off the I/O threads: a fixed pool of one thread a core, each with buffers that it reuses.
//!
//! `spawn_blocking` would run hundreds of decoders at once, each with its own buffers; here what cannot run yet waits
//! in a queue whose bytes are already charged to the memory budget.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use crate::logs::{Codec, Encoder, GroupCloser};
use crate::records::Decoder;

/// What decoding and compressing need, kept from one batch to the next.
pub struct Worker {
    pub decoder: Decoder,
    pub encoder: Encoder,
    pub closer: GroupCloser,
}

impl Worker {
    fn new(codec: Codec) -> Self {
        Self {
            decoder: Decoder::default(),
            encoder: Encoder::new(),
            closer: GroupCloser::new(codec),
        }
    }
}

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The pool; its threads end when it is dropped.
pub struct Pool {
    jobs: mpsc::Sender<Job>,
    codec: Codec,
}

impl Pool {
    /// Starts one thread a core; groups are closed with `codec`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(codec: Codec) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let count = thread::available_parallelism().map_or(1, usize::from);
        for index in 0..count {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("decode-{index}"))
                .spawn(move || work(&queue, codec))?;
        }
        Ok(Self { jobs, codec })
    }

    /// Queues `job`; it runs on some thread of the pool.
    pub fn run(&self, job: impl FnOnce(&mut Worker) + Send + 'static) {
        // The threads live as long as `self`, so the queue has a reader.
        let _ = self.jobs.send(Box::new(job));
    }

    /// Runs small work at once on the calling thread, with the thread's own reused buffers. `None`: it panicked; as on
    /// the pool's threads, that concerns one batch only, and the thread goes on with fresh buffers.
    pub fn inline<T>(&self, work: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        INLINE.with_borrow_mut(|kept| {
            // The buffers may be those of another pool, whose backend wants other groups.
            kept.take_if(|worker| worker.closer.codec() != self.codec);
            let worker = kept.get_or_insert_with(|| Worker::new(self.codec));
            let done = catch_unwind(AssertUnwindSafe(|| work(worker))).ok();
            if done.is_none() {
                *kept = None;
            }
            done
        })
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>, codec: Codec) {
    let mut worker = Worker::new(codec);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic is a bug of ours in one batch: its waiters are told by what the job drops, the thread goes on
        // with fresh buffers.
        if catch_unwind(AssertUnwindSafe(|| job(&mut worker))).is_err() {
            worker = Worker::new(codec);
        }
    }
}

thread_local! {
    static INLINE: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::logs::{Compression, DigestKind};

    #[test]
    fn each_pool_closes_groups_with_its_own_codec_on_a_thread_that_they_share() {
        let other = Codec {
            compression: Compression::Zstd,
            digest: Some(DigestKind::Md5),
        };
        let pools = [Codec::LZ4, other].map(|codec| (codec, Pool::start(codec).expect("threads")));
        for (codec, pool) in pools.iter().chain(&pools) {
            let inline = pool.inline(|worker| worker.closer.codec());
            assert_eq!(inline, Some(*codec));
            let (done, told) = channel();
            pool.run(move |worker| done.send(worker.closer.codec()).expect("it is awaited"));
            assert_eq!(told.recv(), Ok(*codec));
        }
    }

    #[test]
    fn work_runs_on_one_thread_a_core_however_much_there_is() {
        let pool = Pool::start(Codec::LZ4).expect("threads");
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
        let pool = Pool::start(Codec::LZ4).expect("threads");
        let panicked = pool.inline(|_| panic!("a bug in one batch"));
        assert!(panicked.is_none_or(|()| false));
        assert_eq!(pool.inline(|_| 1), Some(1));
        for _ in 0..20 {
            pool.run(|_| panic!("a bug in one batch"));
        }
        let (done, told) = channel();
        pool.run(move |_| done.send(()).expect("it is awaited"));
        assert_eq!(told.recv(), Ok(()));
    }
}
