//! Something small about each Logstore, for a bounded number of them: the one added first goes.

use std::collections::{HashMap, VecDeque};

use crate::tenant::{LogstoreName, ProjectName};

type Place = (ProjectName, LogstoreName);

#[derive(Debug)]
pub struct Remembered<V> {
    max: usize,
    known: HashMap<Place, V>,
    added: VecDeque<Place>,
}

impl<V: Copy> Remembered<V> {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            known: HashMap::new(),
            added: VecDeque::new(),
        }
    }

    pub fn get(&self, place: &Place) -> Option<V> {
        self.known.get(place).copied()
    }

    pub fn set(&mut self, place: Place, value: V) {
        if self.known.insert(place.clone(), value).is_some() {
            return;
        }
        self.added.push_back(place);
        if self.added.len() > self.max
            && let Some(oldest) = self.added.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
