//! A request body that knows whether it was asked for: until then nothing can have been stored.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::error::Sent;

/// Set once the HTTP client has taken a body to send it.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(Arc<AtomicBool>);

impl Taken {
    pub fn sent(&self) -> Sent {
        match self.0.load(Ordering::Acquire) {
            true => Sent::Maybe,
            false => Sent::No,
        }
    }
}

/// All bytes at once, with their length.
pub(super) struct WatchedBody {
    bytes: Option<Bytes>,
    taken: Taken,
}

impl WatchedBody {
    pub fn new(bytes: Bytes, taken: Taken) -> Self {
        Self {
            bytes: Some(bytes),
            taken,
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.0.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
