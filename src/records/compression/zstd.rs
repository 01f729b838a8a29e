//! Zstandard: any number of frames, with or without a content size, skippable frames between them.
//!
//! Sources: RFC 8878; KIP-110.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};
use zstd::zstd_safe::{get_frame_content_size, is_error_kind};

use super::{CodecError, CodecFault, KEPT_BYTES, Output};

/// Largest window that a frame may ask for: what the highest level (22) asks for when it does not know the content's size.
/// The library maps a window when a frame without content size begins; its pages are real only once output fills them.
const WINDOW_LOG_MAX: u32 = 27;

#[derive(Default)]
pub(super) struct Zstd {
    context: Option<DCtx<'static>>,
}

impl Zstd {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), CodecError> {
        if input.is_empty() {
            return Err(CodecError::malformed(0, CodecFault::Cut));
        }
        let context = self.begin()?;
        reserve_announced(input, output);
        let mut source = InBuffer::around(input);
        loop {
            output.reserve_some(input.len());
            let (read_before, written_before) = (source.pos, output.written);
            let mut target = OutBuffer::around(output.free());
            let result = context.decompress_stream(&mut target, &mut source);
            let written = target.pos();
            let hint = result.map_err(|code| malformed(source.pos, code))?;
            output.wrote(written)?;
            if hint == 0 && source.pos == input.len() {
                return Ok(());
            }
            if source.pos == read_before && output.written == written_before {
                return Err(CodecError::malformed(source.pos, CodecFault::Cut));
            }
        }
    }

    /// A context without memory of the last record set, whatever became of that.
    fn begin(&mut self) -> Result<&mut DCtx<'static>, CodecError> {
        let context = self.context.get_or_insert_with(DCtx::create);
        context
            .reset(ResetDirective::SessionAndParameters)
            .and_then(|_| context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)))
            .map_err(|code| malformed(0, code))?;
        Ok(context)
    }

    /// Gives a large window back.
    pub(super) fn shrink(&mut self) {
        self.context
            .take_if(|context| context.sizeof() > KEPT_BYTES);
    }
}

/// With room for the whole content the library writes a frame in one go, without a window of its own.
fn reserve_announced(input: &[u8], output: &mut Output<'_>) {
    if let Ok(Some(announced)) = get_frame_content_size(input)
        && output.is_plausible(announced, input.len())
    {
        output.reserve(announced as usize);
    }
}

fn malformed(at: usize, code: usize) -> CodecError {
    let fault = [
        (
            ZSTD_ErrorCode::ZSTD_error_prefix_unknown,
            CodecFault::Header,
        ),
        (
            ZSTD_ErrorCode::ZSTD_error_checksum_wrong,
            CodecFault::Checksum,
        ),
        (
            ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge,
            CodecFault::Window,
        ),
    ]
    .into_iter()
    .find(|&(kind, _)| is_error_kind(code, kind));
    CodecError::malformed(at, fault.map_or(CodecFault::Data, |(_, fault)| fault))
}
