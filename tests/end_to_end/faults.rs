//! A fault between gateway and Log Service: what each client shows while it lasts, and that nothing is lost when it passes
//! over.

use std::thread;
use std::time::Duration;

use crate::clients::{Client, Way, are_installed, send_one_each, warm};
use crate::fault_proxy::Proxy;
use crate::fault_proxy::request::Call;
use crate::fault_proxy::script::{Action, Rule};
use crate::shown::Shown;
use crate::side_by_side::{Check, all_send, side_by_side};
use crate::stack::Stack;

/// How long a fault lasts that passes over.
const FAULT: Duration = Duration::from_secs(2);
/// How long the gateway answers a refusal from memory, and a little more.
const REMEMBERED: Duration = Duration::from_millis(1_200);
/// Enough for several batches of some clients.
const RECORDS: usize = 200;

pub struct Fault {
    pub begin: Box<dyn Fn(&Proxy) + Send + Sync>,
    pub shown: Shown,
    /// A try that failed is stored all the same.
    pub is_stored: bool,
    /// Who meets it: Java costs more time than all others.
    pub clients: &'static [Client],
    /// Further lines of the gateway's configuration.
    pub settings: &'static str,
}

impl Fault {
    /// Of every request.
    pub fn of_all(action: Action, shown: Shown) -> Self {
        Self::new(move |proxy| proxy.script(Rule::all(action.clone())), shown)
    }

    /// Of every write.
    pub fn of_writes(action: Action, shown: Shown) -> Self {
        let rule = move || Rule::on(Call::PutLogs, action.clone());
        Self::new(move |proxy| proxy.script(rule()), shown)
    }

    pub fn new(begin: impl Fn(&Proxy) + Send + Sync + 'static, shown: Shown) -> Self {
        Self {
            begin: Box::new(begin),
            shown,
            is_stored: false,
            clients: &Client::QUICK,
            settings: "",
        }
    }

    pub fn with_java(self) -> Self {
        Self {
            clients: &Client::ALL,
            ..self
        }
    }

    /// Clients that give up are told why, and nothing is acknowledged; later ones get through.
    pub fn lasts(&self) {
        let stack = warm(self.settings);
        (self.begin)(&stack.proxy);
        for (client, told) in all_send(&stack, self.clients, ("lost", 3), &Way::hasty()) {
            assert_eq!(told.delivered, 0, "{client:?}: {told:#?}");
            assert!(told.failed && told.errors.len() == 3, "{client:?}");
            self.shown.assert_told(client, &told);
        }
        heal(&stack);
        thread::sleep(REMEMBERED);
        send_one_each(&stack, "afterwards");
        let stored = stack.stored();
        for client in Client::ALL {
            stored.assert_holds(client.logstore(), &client.values("afterwards", 1));
        }
    }

    /// Clients that wait as they do by default never notice, and whatever was acknowledged is stored.
    fn passes_over(&self) {
        let stack = warm(self.settings);
        (self.begin)(&stack.proxy);
        let told = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(FAULT);
                heal(&stack);
            });
            all_send(&stack, self.clients, ("kept", RECORDS), &Way::patient())
        });
        assert!(!stack.events("a call of the Log Service failed").is_empty());
        let stored = stack.stored();
        for (client, told) in told {
            told.assert_all_delivered(client, RECORDS);
            self.shown.assert_untold(client, &told);
            let mut sent = client.values("warm", 1);
            sent.extend(client.values("kept", RECORDS));
            stored.assert_each(client.logstore(), &sent);
            if !self.is_stored {
                stored.assert_none_twice(client.logstore());
            }
        }
    }
}

/// No fault any more.
pub fn heal(stack: &Stack) {
    stack.proxy.come_back();
    stack.proxy.heal();
}

/// Each of these faults is seen while it lasts, and not when it passes over.
pub fn check_all<'a>(what: &str, faults: impl FnOnce() -> Vec<(&'a str, Fault)>) {
    if !are_installed(what) {
        return;
    }
    let faults = faults();
    let both = faults.iter().flat_map(|(name, fault)| -> [Check<'_>; 2] {
        [
            (name, Box::new(|| fault.lasts())),
            (name, Box::new(|| fault.passes_over())),
        ]
    });
    side_by_side(both.collect());
}
