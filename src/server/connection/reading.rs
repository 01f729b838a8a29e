//! Where in its input a connection stands: between frames, in a size, a head or a body.
//!
//! Only bytes are taken here; what a frame means, and whether it may come, the session says.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::backend::BoxFuture;
use crate::memory::Charge;
use crate::protocol::produce::Skimmer;
use crate::session::LoginVerdict;

/// What is looked at before a frame's body is read: key, version, correlation id and the first of the client id.
pub const HEAD_BYTES: usize = 14;
pub enum Reading {
    Size {
        have: usize,
        bytes: [u8; 4],
    },
    Head {
        size: usize,
        have: usize,
        bytes: [u8; HEAD_BYTES],
    },
    /// Waits for the memory budget; holds the head already read.
    Reserve {
        size: usize,
        have: usize,
        bytes: [u8; HEAD_BYTES],
        charge: BoxFuture<'static, Charge>,
    },
    Body {
        size: usize,
        frame: BytesMut,
        charge: Option<Charge>,
        window: Window,
    },
    /// A Produce of a refused client: skipped unbuffered.
    Skim {
        left: usize,
        skimmer: Box<Skimmer>,
        window: Window,
    },
    /// The login is being checked; nothing is read meanwhile.
    LogIn(BoxFuture<'static, LoginVerdict>),
    /// Nothing is read any more.
    Stopped,
}

/// The rate at which a body comes in.
pub struct Window {
    pub end: Instant,
    bytes: u64,
}

impl Window {
    pub fn start(length: Duration) -> Self {
        Self {
            end: Instant::now() + length,
            bytes: 0,
        }
    }
}

impl Reading {
    pub fn boundary() -> Self {
        Self::Size {
            have: 0,
            bytes: [0; 4],
        }
    }

    pub fn is_boundary(&self) -> bool {
        matches!(self, Self::Size { have: 0, .. })
    }

    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Body { window, .. } | Self::Skim { window, .. } => Some(window),
            _ => None,
        }
    }

    /// Opens the next window of a body; false when the last one was too slow.
    pub fn next_window(&mut self, rate_min: u64, length: Duration) -> bool {
        let (Self::Body { window, .. } | Self::Skim { window, .. }) = self else {
            return true;
        };
        let enough = window.bytes as f64 >= rate_min as f64 * length.as_secs_f64();
        *window = Window::start(length);
        enough
    }

    /// Takes from `bytes` what the state wants; gives how many bytes it took.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Size { have, bytes: into } => fill(into, have, 4, bytes),
            Self::Head {
                size,
                have,
                bytes: into,
            } => fill(into, have, HEAD_BYTES.min(*size), bytes),
            Self::Body {
                size,
                frame,
                window,
                ..
            } => {
                let count = bytes.len().min(*size - frame.len());
                frame.extend_from_slice(&bytes[..count]);
                window.bytes += count as u64;
                count
            }
            Self::Skim {
                left,
                skimmer,
                window,
            } => {
                let count = bytes.len().min(*left);
                skimmer.feed(&bytes[..count]);
                *left -= count;
                window.bytes += count as u64;
                count
            }
            Self::Reserve { .. } | Self::LogIn(_) | Self::Stopped => 0,
        }
    }
}

fn fill(into: &mut [u8], have: &mut usize, want: usize, bytes: &[u8]) -> usize {
    let count = bytes.len().min(want - *have);
    into[*have..*have + count].copy_from_slice(&bytes[..count]);
    *have += count;
    count
}
