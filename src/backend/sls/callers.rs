//! How often clients that have proven no key may make the gateway call the Log Service: it must not be a stranger's tool
//! for guessing keys.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls that one address may cause in a second, also all at once.
const CALLS_PER_SECOND: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);
/// Addresses counted at once; beyond that strangers wait.
const ADDRESSES_MAX: usize = 100_000;

/// Counts calls by address.
#[derive(Debug, Default)]
pub struct Callers(Mutex<HashMap<IpAddr, Period>>);

#[derive(Debug)]
struct Period {
    began: Instant,
    calls: u32,
}

impl Callers {
    /// Whether this address may cause another call now, which then counts.
    pub fn admit(&self, address: IpAddr, now: Instant) -> bool {
        let address = household(address);
        let mut periods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if periods.len() >= ADDRESSES_MAX && !periods.contains_key(&address) {
            periods.retain(|_, period| now < period.began + PERIOD);
            if periods.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let period = periods.entry(address).or_insert(Period {
            began: now,
            calls: 0,
        });
        if now >= period.began + PERIOD {
            *period = Period {
                began: now,
                calls: 0,
            };
        }
        period.calls += 1;
        period.calls <= CALLS_PER_SECOND
    }
}

/// An IPv6 network of 64 bits is one household, which has all of its addresses.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_ten_calls_a_second_and_takes_none_from_another() {
        let (callers, now) = (Callers::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let admitted = (0..50).filter(|_| callers.admit(one, now)).count();
        assert_eq!(admitted, 10);
        assert!(callers.admit(other, now));
        assert!(callers.admit(one, now + PERIOD));
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_caller() {
        let (callers, now) = (Callers::default(), Instant::now());
        let each = (0..50).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        let admitted = each.filter(|address| callers.admit(*address, now)).count();
        assert_eq!(admitted, 10);
        let other = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
        assert!(callers.admit(other, now));
    }
}
