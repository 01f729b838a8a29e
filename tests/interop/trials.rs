//! A row put through a scenario is a test: its name, whether it is wanted here, and what becomes of its outcome.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};

use crate::card::{self, Card, Cell, Section, Seen};
use crate::server::Kind;
use crate::{broker, programs};

/// A client or an agent of one version.
pub trait Row: Clone + Send + Sync + 'static {
    /// Rows of a kind stand in one table of the card.
    const TABLE: &'static str;

    fn name(&self) -> &str;
    fn is_installed(&self) -> bool;
    /// CI puts it through every scenario. Without it only through those that are for every row.
    fn is_thorough(&self) -> bool;
    /// It takes long to install: for a whole card only.
    fn is_slow(&self) -> bool;
    /// Scenarios that it is not put through, and why.
    fn reasons(&self) -> &BTreeMap<String, String>;
}

pub struct Scenario<R: 'static> {
    pub section: Section,
    pub name: &'static str,
    /// Over its column of the card.
    pub title: &'static str,
    /// CI puts every row through it, not only thorough ones.
    pub for_every_row: bool,
    pub on: On,
    pub run: fn(&R, Kind) -> Seen,
}

/// Where it can be run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// And what is seen on both is compared.
    Both,
    /// And what a user sees differs, for this reason.
    BothDiffer(&'static str),
    SluiceAlone,
}

impl<R> Scenario<R> {
    pub const fn new(
        section: Section,
        name: &'static str,
        title: &'static str,
        on: On,
        run: fn(&R, Kind) -> Seen,
    ) -> Self {
        Self {
            section,
            name,
            title,
            for_every_row: false,
            on,
            run,
        }
    }

    pub const fn for_every_row(mut self) -> Self {
        self.for_every_row = true;
        self
    }
}

/// The row's tests: all for a card, else those that are for every row, and the others for thorough ones; on Kafka only for a card.
pub fn trials<R: Row>(row: &R, scenarios: &'static [Scenario<R>], card: &Arc<Card>) -> Vec<Trial> {
    assert_reasons_name_scenarios(row, scenarios);
    let mut trials = Vec::new();
    for (place, scenario) in scenarios.iter().enumerate() {
        if !card::wanted() && !in_ci(row, scenario) {
            continue;
        }
        for on in [Kind::Sluice, Kind::Kafka] {
            let possible = on == Kind::Sluice || scenario.on != On::SluiceAlone;
            if possible && card::wanted_on(on) {
                trials.push(trial(row, place, scenario, on, card));
            }
        }
    }
    trials
}

fn in_ci<R: Row>(row: &R, scenario: &Scenario<R>) -> bool {
    !row.is_slow() && (row.is_thorough() || scenario.for_every_row)
}

fn assert_reasons_name_scenarios<R: Row>(row: &R, scenarios: &[Scenario<R>]) {
    for name in row.reasons().keys() {
        let known = scenarios.iter().any(|scenario| scenario.name == name);
        assert!(known, "{}: no scenario is called {name}", row.name());
    }
}

/// Called like `clients::kcat-1.7.1::a_wrong_key_is_a_refused_topic`, with `::on_kafka` where it is not on Sluice.
fn trial<R: Row>(
    row: &R,
    place: usize,
    scenario: &'static Scenario<R>,
    on: Kind,
    card: &Arc<Card>,
) -> Trial {
    let name = format!("{}::{}::{}", R::TABLE, row.name(), scenario.name);
    let name = match on {
        Kind::Sluice => name,
        Kind::Kafka => format!("{name}::on_kafka"),
    };
    let (row, card) = (row.clone(), card.clone());
    Trial::test(name, move || {
        let cell = Cell {
            on,
            table: R::TABLE,
            row: row.name(),
            thorough: row.is_thorough(),
            slow: row.is_slow(),
            scenario: scenario.name,
            place,
            section: scenario.section,
            title: scenario.title,
            in_ci: in_ci(&row, scenario),
            differs: match scenario.on {
                On::BothDiffer(reason) => Some(reason),
                On::Both | On::SluiceAlone => None,
            },
            alone: scenario.on == On::SluiceAlone,
        };
        put_through(&row, scenario, &cell, &card)
    })
}

/// One row in one scenario, noted on the card.
fn put_through<R: Row>(
    row: &R,
    scenario: &Scenario<R>,
    cell: &Cell,
    card: &Card,
) -> Result<(), Failed> {
    let begin = Instant::now();
    let seen = if let Some(reason) = row.reasons().get(scenario.name) {
        Ok(Seen::Other(reason.clone()))
    } else if !row.is_installed() || cell.on == Kind::Kafka && !broker::is_installed() {
        not_installed()
    } else {
        catch_unwind(AssertUnwindSafe(|| (scenario.run)(row, cell.on))).map_err(text_of)
    };
    if let Ok(Seen::Skipped(reason)) = &seen {
        programs::skipped(&format!("{}: {}: {reason}", row.name(), scenario.name));
    }
    card.note(cell, &seen, begin.elapsed());
    match seen {
        // Kafka is the measure, not what is tested: what fails there is the row's own doing, and the card shows it.
        Err(_) if cell.on == Kind::Kafka => Ok(()),
        seen => seen.map(|_| ()).map_err(Failed::from),
    }
}

fn not_installed() -> Result<Seen, String> {
    let reason = "it is not installed; tests/run installs it".to_owned();
    match std::env::var("SLUICE_TEST_CLIENTS").is_ok_and(|set| set == "required") {
        true => Err(reason),
        false => Ok(Seen::Skipped(reason)),
    }
}

fn text_of(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let literal = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(literal).unwrap_or_default()
}
