//! The memory that requests hold: reserved before a body is read, released when its logs are stored or refused.
//!
//! First come, first served; but a project that holds its share waits without blocking others. Whoever holds a charge
//! never waits for another one, so all charges end and nobody waits for ever.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::tenant::ProjectName;

/// The bytes that all requests of the process may hold. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Mutex<State>>);

/// Bytes held; released when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    project: Option<ProjectName>,
    bytes: u64,
}

#[derive(Debug)]
struct State {
    bytes_max: u64,
    used: u64,
    by_project: HashMap<ProjectName, u64>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    project: Option<ProjectName>,
    bytes: u64,
    granted: oneshot::Sender<Charge>,
}

impl Budget {
    pub fn new(bytes_max: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes_max,
            used: 0,
            by_project: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// Takes a charge if that is possible at once, without overtaking anybody.
    pub fn try_reserve(&self, project: Option<&ProjectName>, bytes: u64) -> Option<Charge> {
        let mut state = self.lock();
        // Whoever waits is either waiting for the total, or for its own project's share.
        let overtakes = state.waiting.iter().any(|waiter| {
            waiter.project.as_ref() == project
                || state.has_share(waiter.project.as_ref(), waiter.bytes)
        });
        if overtakes || !state.may_take(project, bytes) {
            return None;
        }
        state.take(project, bytes);
        Some(Charge {
            budget: self.clone(),
            project: project.cloned(),
            bytes,
        })
    }

    /// Waits for a charge. Dropping the future leaves the queue.
    pub fn reserve(
        &self,
        project: Option<ProjectName>,
        bytes: u64,
    ) -> impl Future<Output = Charge> + Send + use<> {
        let (granted, grant) = oneshot::channel();
        let budget = self.clone();
        self.lock().waiting.push_back(Waiter {
            project,
            bytes,
            granted,
        });
        self.serve();
        async move {
            match grant.await {
                Ok(charge) => charge,
                // The queue lives as long as the budget, which this future holds.
                Err(_) => Charge {
                    budget,
                    project: None,
                    bytes: 0,
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives out what can be given, in order.
    fn serve(&self) {
        while let Some(waiter) = self.lock().next_served() {
            let charge = Charge {
                budget: self.clone(),
                project: waiter.project,
                bytes: waiter.bytes,
            };
            // One who left meanwhile hands it back by dropping it here, outside the lock.
            drop(waiter.granted.send(charge));
        }
    }
}

impl State {
    /// A project may hold half of what the others leave free, and always one frame.
    fn has_share(&self, project: Option<&ProjectName>, bytes: u64) -> bool {
        let held = project
            .and_then(|project| self.by_project.get(project))
            .copied()
            .unwrap_or(0);
        let others = self.used - held;
        held == 0 || held + bytes <= self.bytes_max.saturating_sub(others) / 2
    }

    /// A frame larger than the whole is let through when nothing else is held.
    fn has_room(&self, bytes: u64) -> bool {
        self.used == 0 || self.used + bytes <= self.bytes_max
    }

    fn may_take(&self, project: Option<&ProjectName>, bytes: u64) -> bool {
        self.has_room(bytes) && self.has_share(project, bytes)
    }

    fn take(&mut self, project: Option<&ProjectName>, bytes: u64) {
        self.used += bytes;
        if let Some(project) = project {
            *self.by_project.entry(project.clone()).or_insert(0) += bytes;
        }
    }

    fn give_back(&mut self, project: Option<&ProjectName>, bytes: u64) {
        self.used -= bytes;
        if let Some(project) = project
            && let Some(held) = self.by_project.get_mut(project)
        {
            *held -= bytes;
            if *held == 0 {
                self.by_project.remove(project);
            }
        }
    }

    /// The first waiter that can be served, its bytes taken. Those at their project's share are passed over; one that
    /// waits for the total blocks all behind it, or large frames would never come through.
    fn next_served(&mut self) -> Option<Waiter> {
        self.waiting.retain(|waiter| !waiter.granted.is_closed());
        let mut passed_over: Vec<&Option<ProjectName>> = Vec::new();
        let index = self.waiting.iter().position(|waiter| {
            let blocked = passed_over.contains(&&waiter.project)
                || !self.has_share(waiter.project.as_ref(), waiter.bytes);
            if blocked {
                passed_over.push(&waiter.project);
            }
            !blocked
        })?;
        if !self.has_room(self.waiting[index].bytes) {
            return None;
        }
        let waiter = self.waiting.remove(index)?;
        self.take(waiter.project.as_ref(), waiter.bytes);
        Some(waiter)
    }
}

impl Charge {
    /// Gives back what is over so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        let over = self.bytes.saturating_sub(bytes);
        self.bytes -= over;
        drop(Self {
            budget: self.budget.clone(),
            project: self.project.clone(),
            bytes: over,
        });
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let waited_for = {
            let mut state = self.budget.lock();
            state.give_back(self.project.as_ref(), self.bytes);
            !state.waiting.is_empty()
        };
        if waited_for {
            self.budget.serve();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    fn project(name: &str) -> ProjectName {
        ProjectName::parse(name).expect("a good name")
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn charges_are_given_first_come_first_served() {
        let budget = Budget::new(100);
        let held = budget.try_reserve(None, 80).expect("free");
        let mut large = pin!(budget.reserve(Some(project("aaa")), 60));
        let mut small = pin!(budget.reserve(Some(project("bbb")), 10));
        assert!(poll(large.as_mut()).is_pending());
        assert!(
            poll(small.as_mut()).is_pending(),
            "a small frame does not overtake a large one that waits for the total"
        );
        assert!(
            budget.try_reserve(Some(&project("ccc")), 1).is_none(),
            "nor does one that comes now"
        );
        drop(held);
        assert!(poll(large.as_mut()).is_ready());
        assert!(poll(small.as_mut()).is_ready());
    }

    #[test]
    fn a_project_holds_at_most_half_of_what_the_others_leave_free_but_always_one_frame() {
        let budget = Budget::new(100);
        let (one, other) = (project("one"), project("other"));
        let first = budget
            .try_reserve(Some(&one), 80)
            .expect("one frame always");
        assert!(
            budget.try_reserve(Some(&one), 1).is_none(),
            "it has more than its share already"
        );
        drop(first);
        let _others = budget.try_reserve(Some(&other), 40).expect("free");
        let _half = budget.try_reserve(Some(&one), 20).expect("free");
        assert!(
            budget.try_reserve(Some(&one), 11).is_none(),
            "(100 - 40) / 2 = 30"
        );
        assert!(budget.try_reserve(Some(&one), 10).is_some());
    }

    #[test]
    fn a_project_at_its_share_does_not_block_others() {
        let budget = Budget::new(100);
        let (one, other) = (project("one"), project("other"));
        let first = budget
            .try_reserve(Some(&one), 60)
            .expect("one frame always");
        let mut second = pin!(budget.reserve(Some(one.clone()), 10));
        assert!(poll(second.as_mut()).is_pending());
        assert!(budget.try_reserve(Some(&other), 10).is_some());
        let mut others = pin!(budget.reserve(Some(other.clone()), 10));
        assert!(poll(others.as_mut()).is_ready());
        assert!(
            budget.try_reserve(Some(&one), 1).is_none(),
            "its own later frames wait behind"
        );
        drop(first);
        assert!(poll(second.as_mut()).is_ready());
    }

    #[test]
    fn a_frame_larger_than_the_whole_passes_when_nothing_is_held() {
        let budget = Budget::new(100);
        let held = budget.try_reserve(None, 1).expect("free");
        let mut huge = pin!(budget.reserve(None, 500));
        assert!(poll(huge.as_mut()).is_pending());
        drop(held);
        let Poll::Ready(charge) = poll(huge.as_mut()) else {
            panic!("nothing else is held")
        };
        assert_eq!(budget.used(), 500);
        drop(charge);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn who_stops_waiting_leaves_the_queue_and_hands_back_what_it_was_given() {
        let budget = Budget::new(10);
        let held = budget.try_reserve(None, 10).expect("free");
        let gone = budget.reserve(None, 10);
        let mut next = pin!(budget.reserve(None, 5));
        drop(gone);
        drop(held);
        assert!(poll(next.as_mut()).is_ready());
        let granted_unseen = budget.reserve(None, 5);
        drop(granted_unseen);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_a_charge_gives_back_is_given_to_who_waits() {
        let budget = Budget::new(10);
        let mut held = budget.try_reserve(None, 10).expect("free");
        let mut next = pin!(budget.reserve(None, 4));
        held.shrink(12);
        assert!(poll(next.as_mut()).is_pending());
        held.shrink(6);
        assert!(poll(next.as_mut()).is_ready());
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_project_without_charges_takes_no_memory() {
        let budget = Budget::new(10);
        drop(budget.try_reserve(Some(&project("one")), 3));
        assert!(budget.lock().by_project.is_empty());
    }

    proptest! {
        #[test]
        fn the_total_is_kept_and_everybody_is_served_in_the_end(
            asks in proptest::collection::vec((0..4_u8, 1..120_u64), 1..60),
        ) {
            let budget = Budget::new(100);
            let names = ["one", "two", "three", "four"].map(project);
            let mut waiting = VecDeque::new();
            for (which, bytes) in asks {
                waiting.push_back(Box::pin(budget.reserve(Some(names[usize::from(which)].clone()), bytes)));
            }
            while !waiting.is_empty() {
                let mut charges = Vec::new();
                waiting.retain_mut(|future| match poll(future.as_mut()) {
                    Poll::Ready(charge) => {
                        charges.push(charge);
                        false
                    }
                    Poll::Pending => true,
                });
                prop_assert!(!charges.is_empty(), "nobody was served");
                prop_assert!(budget.used() <= 100 || charges.len() == 1, "over the total: {}", budget.used());
                drop(charges);
            }
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
