//! Checks at the same time, since they mostly wait for time-outs.

use std::thread;

use crate::clients::{Client, Told, Way};
use crate::stack::Stack;

/// A check and its name.
pub type Check<'a> = (&'a str, Box<dyn FnOnce() + Send + 'a>);

/// Runs each check in a thread of its name, which a failure shows.
pub fn side_by_side(checks: Vec<Check<'_>>) {
    thread::scope(|scope| {
        for (name, check) in checks {
            let thread = thread::Builder::new().name(name.into());
            thread.spawn_scoped(scope, check).expect("a thread");
        }
    });
}

/// Each client sends so many values of its own to its own Logstore.
pub fn all_send(
    stack: &Stack,
    clients: &[Client],
    (run, count): (&str, usize),
    way: &Way,
) -> Vec<(Client, Told)> {
    thread::scope(|scope| {
        let start = |client: &Client| {
            let (client, values) = (*client, client.values(run, count));
            scope.spawn(move || (client, client.send(stack, client.logstore(), &values, way)))
        };
        let runs: Vec<_> = clients.iter().map(start).collect();
        let told = runs.into_iter().map(|run| run.join().expect("it ran"));
        told.collect()
    })
}
