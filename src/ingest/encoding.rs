//! One batch's records become logs: pieces that may share a group, and groups where a piece is large enough to be one.

use std::sync::Arc;

use super::pool::Worker;
use super::request::{Delivery, Request};
use super::{ALONE_BYTES_MIN, Inner};
use crate::catalog::Target;
use crate::failure::Failure;
use crate::logs::{BatchContext, Envelope, LogGroup, Piece, SourceRule, TopicRule};
use crate::records;
use crate::tenant::{self, Route};

/// One batch's logs: what may share a group, and what is one already.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) pieces: Vec<Piece>,
    pub(super) groups: Vec<LogGroup>,
}

impl Encoded {
    /// Bytes that wait: logs as they are, complete groups as they are compressed.
    pub(super) fn bytes(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| piece.logs.len());
        let groups = self.groups.iter().map(|group| group.body.len());
        pieces.chain(groups).sum::<usize>() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.groups.is_empty()
    }

    /// Leaves out the groups and pieces that lie in the first so many logs, which are stored; gives the logs left out. A
    /// piece of which a part is stored stays: twice is better than not.
    pub(super) fn skip(&mut self, stored_logs: u32) -> u32 {
        let mut left = stored_logs;
        let mut skipped = 0;
        let mut is_stored = |log_count: u32| {
            let stored = log_count <= left;
            left = if stored { left - log_count } else { 0 };
            skipped += if stored { log_count } else { 0 };
            stored
        };
        self.groups.retain(|group| !is_stored(group.log_count));
        self.pieces.retain(|piece| !is_stored(piece.log_count));
        skipped
    }
}

impl Inner {
    /// Records → logs → pieces, and groups where a piece is large enough to be one.
    pub(super) fn encode(
        &self,
        worker: &mut Worker,
        limits: &records::Limits,
        target: &Target,
        delivery: &Delivery,
    ) -> Result<Encoded, Failure> {
        let request = delivery.request();
        let context = self.context(delivery, &target.route);
        let Worker {
            decoder,
            encoder,
            closer,
        } = worker;
        encoder.reset();
        let mut record = 0;
        decoder.decode(&delivery.records(), request.version(), limits, |each| {
            encoder
                .push(&context, &each)
                .map_err(|error| Failure::Log { record, error })?;
            record += 1;
            Ok::<(), Failure>(())
        })?;
        let mut encoded = Encoded::default();
        let (source, topic) = (self.source_of(request), self.topic_of(delivery));
        let envelope = self.envelope(&source, &topic);
        let pieces = encoder.finish();
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            // Only the last may share a group, or its batch would lose its order.
            if index + 1 < count || piece.logs.len() >= ALONE_BYTES_MIN {
                encoded.groups.push(closer.close(vec![piece], &envelope));
                encoder.recycle(closer.take_buffer());
            } else {
                encoded.pieces.push(piece);
            }
        }
        Ok(encoded)
    }

    fn context<'c>(&'c self, delivery: &'c Delivery, route: &Route) -> BatchContext<'c> {
        let arrival = delivery.arrival();
        BatchContext {
            mapping: &self.config.mapping,
            window: self.profile.window,
            bounds: self.profile.bounds,
            now_ms: arrival.at_ms,
            json_topic: route.json,
            client_ip: (self.source == SourceRule::Field).then_some(&*arrival.source),
        }
    }

    /// The index of the record that became this log, counted from what was written in the last try.
    pub(super) fn record_of(
        &self,
        worker: &mut Worker,
        delivery: &Delivery,
        log: u32,
    ) -> Option<usize> {
        let request = delivery.request();
        let route = tenant::route(delivery.topic()).ok()?;
        let context = self.context(delivery, &route);
        let wanted = delivery.stored_before.saturating_add(log);
        let (limits, version) = (&self.config.records, request.version());
        let Worker {
            decoder, encoder, ..
        } = worker;
        encoder.reset();
        let (mut record, mut found) = (0, None);
        let decoded = decoder.decode(&delivery.records(), version, limits, |each| {
            encoder
                .push(&context, &each)
                .map_err(|error| Failure::Log { record, error })?;
            if found.is_none() && encoder.log_count() > wanted {
                found = Some(record);
            }
            record += 1;
            Ok::<(), Failure>(())
        });
        encoder.reset();
        decoded.ok().and(found)
    }

    /// What stands in `__source__` of a batch's groups.
    pub(super) fn source_of(&self, request: &Request) -> Arc<str> {
        match self.source {
            SourceRule::Group => Arc::clone(request.source()),
            SourceRule::Field => Arc::clone(&self.nothing),
        }
    }

    /// What stands in `__topic__` of a batch's groups.
    pub(super) fn topic_of(&self, delivery: &Delivery) -> Arc<str> {
        match self.config.mapping.topic {
            TopicRule::Drop => Arc::clone(&self.nothing),
            TopicRule::Kafka => delivery.topic().into(),
        }
    }

    pub(super) fn envelope<'e>(&'e self, source: &'e str, topic: &'e str) -> Envelope<'e> {
        Envelope {
            topic,
            source,
            tags: &self.config.mapping.tags,
        }
    }
}
