//! What the Log Service last said of something that it may refuse: a key, a right, a Logstore's existence.
//!
//! What was good is contradicted only by two refusals at least a second apart: one front end behind a name may be late or
//! wrong, and half of the agents throw their data away on the word of one.

use std::time::{Duration, Instant};

/// The least time between the two refusals.
pub const CONFIRMATION_PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    accepted: Option<Instant>,
    /// The first refusal since.
    refused: Option<Instant>,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It was good before: to be asked once more, not before this.
    AskAgain(Instant),
    /// It was good within the grace.
    Held,
    Refused,
}

impl Standing {
    pub fn accept(&mut self, now: Instant) {
        self.accepted = Some(now);
        self.refused = None;
    }

    pub fn refuse(&mut self, now: Instant, grace: Duration) -> Ruling {
        let Some(accepted) = self.accepted else {
            return Ruling::Refused;
        };
        let confirmed_at = *self.refused.get_or_insert(now) + CONFIRMATION_PAUSE;
        if now < confirmed_at {
            Ruling::AskAgain(confirmed_at)
        } else if now < accepted + grace {
            Ruling::Held
        } else {
            Ruling::Refused
        }
    }

    /// It was good at some time.
    pub fn was_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// The last word was good.
    pub fn is_good(&self) -> bool {
        self.accepted.is_some() && self.refused.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_never_good_is_refused_at_once() {
        let now = Instant::now();
        assert_eq!(Standing::default().refuse(now, HOUR), Ruling::Refused);
    }

    #[test]
    fn what_was_good_takes_two_refusals_a_second_apart_and_is_held_within_the_grace() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.accept(now);
        let confirmed = Ruling::AskAgain(now + SECOND);
        assert_eq!(standing.refuse(now, HOUR), confirmed);
        assert_eq!(standing.refuse(now + SECOND / 2, HOUR), confirmed);
        assert!(!standing.is_good());
        assert_eq!(standing.refuse(now + SECOND, HOUR), Ruling::Held);
        assert_eq!(standing.refuse(now + HOUR, HOUR), Ruling::Refused);
        assert_eq!(
            standing.refuse(now + SECOND, Duration::ZERO),
            Ruling::Refused
        );
    }

    #[test]
    fn an_acceptance_between_two_refusals_begins_anew() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.accept(now);
        standing.refuse(now, HOUR);
        standing.accept(now + SECOND);
        assert!(standing.is_good());
        let again = standing.refuse(now + SECOND * 2, HOUR);
        assert_eq!(again, Ruling::AskAgain(now + SECOND * 3));
    }
}
