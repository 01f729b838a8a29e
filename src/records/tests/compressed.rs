//! The codecs: every legal form is read, every bad one refused, and no output passes the limit.

use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};

use super::*;

/// Longer than a window of LZ4 and than what is plausible at once, and not the same anywhere.
fn long_text() -> Vec<u8> {
    let line = |number: u32| {
        format!(
            "{number} {:x} a line of a log\n",
            number.wrapping_mul(0x9e37_79b9)
        )
    };
    (0..8_000).map(line).collect::<String>().into_bytes()
}

fn inflate_within(codec: Codec, input: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodecError> {
    let mut codecs = Codecs::default();
    let output = codecs
        .decompress(codec, input, 2, bytes_max)
        .map(<[u8]>::to_vec);
    assert!(codecs.memory_bytes() <= bytes_max + 1);
    output
}

fn inflate(codec: Codec, input: &[u8]) -> Result<Vec<u8>, CodecError> {
    inflate_within(codec, input, 1 << 20)
}

/// `forms` of compressed `content` are read whole, hold to the limit, and no prefix of them is taken for whole.
fn check_forms(codec: Codec, content: &[u8], forms: &[Vec<u8>]) {
    for (index, form) in forms.iter().enumerate() {
        let context = format!("{codec}, form {index}, {} bytes", content.len());
        assert!(inflate(codec, form).as_deref() == Ok(content), "{context}");
        assert!(
            inflate_within(codec, form, content.len()).as_deref() == Ok(content),
            "{context}"
        );
        for bytes_max in [content.len() / 2, content.len().saturating_sub(1)] {
            if bytes_max < content.len() {
                assert_eq!(
                    inflate_within(codec, form, bytes_max),
                    Err(CodecError::OverLimit),
                    "{context}"
                );
            }
        }
    }
}

fn check_prefixes(codec: Codec, form: &[u8]) {
    for bytes in 0..form.len() {
        let error = inflate(codec, &form[..bytes]).expect_err("cut");
        assert!(
            matches!(error, CodecError::Malformed { at, .. } if at <= bytes),
            "{codec} {bytes}"
        );
    }
}

fn contents() -> [Vec<u8>; 4] {
    [vec![], b"short".to_vec(), vec![b'x'; 300_000], long_text()]
}

fn lz4_forms(content: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max4MB] {
            let info = FrameInfo::new().block_mode(mode).block_size(size);
            forms.push(lz4_with(content, info.clone()));
            let info = info.block_checksums(true).content_checksum(true);
            forms.push(lz4_with(
                content,
                info.content_size(Some(content.len() as u64)),
            ));
        }
    }
    forms
}

#[test]
fn lz4_frames_are_read_in_all_their_forms() {
    for content in contents() {
        let forms = lz4_forms(&content);
        check_forms(Codec::Lz4, &content, &forms);
    }
    for form in lz4_forms(b"text text text text text text text") {
        check_prefixes(Codec::Lz4, &form);
    }
}

#[test]
fn what_follows_an_lz4_frame_is_ignored() {
    let form = [lz4(b"text"), lz4(b"more")].concat();
    assert_eq!(inflate(Codec::Lz4, &form), Ok(b"text".to_vec()));
}

#[test]
fn checksums_of_lz4_frames_are_checked() {
    let info = FrameInfo::new()
        .block_checksums(true)
        .content_checksum(true);
    let form = lz4_with(&b"text".repeat(20), info);
    let (end_mark, data) = (form.len() - 8, 11);
    for at in [6, data, end_mark - 1, form.len() - 1] {
        let mut damaged = form.clone();
        damaged[at] ^= 1;
        let error = inflate(Codec::Lz4, &damaged).unwrap_err();
        assert!(
            matches!(
                error,
                CodecError::Malformed {
                    fault: CodecFault::Checksum,
                    ..
                }
            ),
            "{at}"
        );
    }
}

/// An lz4 frame of these flags, block descriptor and further header fields, with a right header checksum.
fn lz4_frame(flags: u8, descriptor: u8, fields: &[u8], blocks: &[u8]) -> Vec<u8> {
    let header = [&[flags, descriptor], fields].concat();
    let checksum = (twox_hash::XxHash32::oneshot(0, &header) >> 8) as u8;
    [b"\x04\x22\x4d\x18", &header[..], &[checksum], blocks].concat()
}

#[test]
fn lz4_headers_that_mean_something_else_are_refused() {
    const EMPTY: &[u8] = &[0; 4];
    assert_eq!(
        inflate(Codec::Lz4, &lz4_frame(0x60, 0x40, &[], EMPTY)),
        Ok(vec![])
    );
    let bad = [
        ("version 0", lz4_frame(0x20, 0x40, &[], EMPTY)),
        ("version 2", lz4_frame(0xa0, 0x40, &[], EMPTY)),
        ("reserved flag", lz4_frame(0x62, 0x40, &[], EMPTY)),
        ("a dictionary", lz4_frame(0x61, 0x40, &[0; 4], EMPTY)),
        ("block size 3", lz4_frame(0x60, 0x30, &[], EMPTY)),
        ("reserved block bits", lz4_frame(0x60, 0x41, &[], EMPTY)),
        (
            "another magic",
            [&[3], &lz4_frame(0x60, 0x40, &[], EMPTY)[1..]].concat(),
        ),
    ];
    for (name, frame) in bad {
        let error = inflate(Codec::Lz4, &frame).unwrap_err();
        assert!(
            matches!(
                error,
                CodecError::Malformed {
                    fault: CodecFault::Header,
                    ..
                }
            ),
            "{name}"
        );
    }
}

#[test]
fn lz4_blocks_hold_to_their_frames_block_size() {
    let block = [&(0x8001_0001_u32).to_le_bytes()[..], &[0; 65_537], &[0; 4]].concat();
    let error = inflate(Codec::Lz4, &lz4_frame(0x60, 0x40, &[], &block)).unwrap_err();
    assert_eq!(
        error,
        CodecError::Malformed {
            at: 11,
            fault: CodecFault::Length
        }
    );
    assert!(inflate(Codec::Lz4, &lz4_frame(0x60, 0x50, &[], &block)).is_ok());

    let inner = lz4_flex::block::compress(&[0; 65_537]);
    let block = [&(inner.len() as u32).to_le_bytes()[..], &inner, &[0; 4]].concat();
    let error = inflate(Codec::Lz4, &lz4_frame(0x60, 0x40, &[], &block)).unwrap_err();
    assert_eq!(
        error,
        CodecError::Malformed {
            at: 11,
            fault: CodecFault::Data
        }
    );
}

#[test]
fn a_wrong_lz4_content_size_is_ignored_and_takes_no_memory() {
    let block = [&(0x8000_0002_u32).to_le_bytes()[..], b"ok", &[0; 4]].concat();
    let frame = lz4_frame(0x68, 0x70, &u64::MAX.to_le_bytes(), &block);
    let mut codecs = Codecs::default();
    assert_eq!(
        codecs.decompress(Codec::Lz4, &frame, 2, 64 << 20),
        Ok(&b"ok"[..])
    );
    assert!(codecs.memory_bytes() <= 4096);
}

#[test]
fn empty_lz4_blocks_end_with_the_input() {
    let blocks = [[0, 0, 0, 0x80].repeat(10_000), vec![0; 4]].concat();
    assert_eq!(
        inflate(Codec::Lz4, &lz4_frame(0x60, 0x40, &[], &blocks)),
        Ok(vec![])
    );
}

#[test]
fn gzip_is_read_in_all_its_forms() {
    for content in contents() {
        let (a, b) = content.split_at(content.len() / 2);
        let named = flate2::GzBuilder::new()
            .filename("a name")
            .comment("a comment")
            .extra(vec![7; 300])
            .buf_read(&content[..], flate2::Compression::fast());
        let named = std::io::Read::bytes(named)
            .collect::<Result<Vec<u8>, _>>()
            .unwrap();
        let forms = [
            gzip(&content),
            named,
            [gzip(a), gzip(b)].concat(),
            [gzip(b""), gzip(a), gzip(b""), gzip(b), gzip(b"")].concat(),
            [gzip(&content), b"rubbish".to_vec()].concat(),
            [gzip(&content), vec![0; 1000]].concat(),
            // What begins like a member but is not even a header of one is rubbish, too.
            [gzip(&content), gzip(b"")[..9].to_vec()].concat(),
            [
                gzip(&content),
                vec![0x1f, 0x8b, 8, 0xe0, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat(),
        ];
        check_forms(Codec::Gzip, &content, &forms);
    }
    check_prefixes(Codec::Gzip, &gzip(b"text"));
    check_prefixes(Codec::Gzip, &gzip(&[b'x'; 5_000]));
}

#[test]
fn two_gzip_members_of_equal_size_are_both_read() {
    let members = [gzip(b"first"), gzip(b"other")];
    assert_eq!(members[0].len(), members[1].len());
    assert_eq!(
        inflate(Codec::Gzip, &members.concat()),
        Ok(b"firstother".to_vec())
    );
}

#[test]
fn a_second_gzip_member_is_checked_as_the_first() {
    let (first, second) = (gzip(b"first"), gzip(b"second"));
    for bytes in 10..second.len() {
        let cut = [&first[..], &second[..bytes]].concat();
        assert!(inflate(Codec::Gzip, &cut).is_err(), "{bytes}");
    }
    for at in 0..second.len() {
        let mut damaged = [&first[..], &second[..]].concat();
        let at = first.len() + at;
        damaged[at] ^= 0xff;
        match inflate(Codec::Gzip, &damaged) {
            // A damaged magic or method is rubbish after the first member; time, extra flags and system say nothing.
            Ok(content) if at < first.len() + 4 => assert_eq!(content, b"first"),
            Ok(content) => assert!(at < first.len() + 10 && content == b"firstsecond"),
            Err(error) => assert!(matches!(error, CodecError::Malformed { .. })),
        }
    }
}

#[test]
fn gzip_checksum_and_size_are_checked_by_both_decoders() {
    for content in [&b"text"[..], &[b'x'; 5_000]] {
        for from_end in 1..=8 {
            let mut damaged = gzip(content);
            let at = damaged.len() - from_end;
            damaged[at] ^= 1;
            assert!(inflate(Codec::Gzip, &damaged).is_err(), "{from_end}");
        }
    }
}

#[test]
fn a_gzip_magic_inside_the_data_is_not_taken_for_a_member() {
    let content = b"\x1f\x8b\x08 in the middle \x1f\x8b\x08".to_vec();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(&content).unwrap();
    assert_eq!(
        inflate(Codec::Gzip, &encoder.finish().unwrap()),
        Ok(content)
    );
}

#[test]
fn empty_gzip_members_end_with_the_input() {
    assert_eq!(inflate(Codec::Gzip, &gzip(b"").repeat(5_000)), Ok(vec![]));
}

#[test]
fn snappy_is_read_in_all_its_forms() {
    for content in contents() {
        check_forms(
            Codec::Snappy,
            &content,
            &[snappy(&content), framed_snappy(&content)],
        );
    }
    check_prefixes(Codec::Snappy, &snappy(&b"text".repeat(20)));
}

#[test]
fn a_framed_snappy_header_without_blocks_is_empty() {
    let header = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    assert_eq!(inflate(Codec::Snappy, header), Ok(vec![]));
    assert_eq!(inflate(Codec::Snappy, &header.repeat(10_000)), Ok(vec![]));
}

#[test]
fn bad_framed_snappy_lengths_are_refused() {
    let check = |after: &[u8], at: usize, fault: CodecFault| {
        let input = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], after].concat();
        assert_eq!(
            inflate(Codec::Snappy, &input),
            Err(CodecError::Malformed { at, fault })
        );
    };
    check(&[0, 0, 0], 16, CodecFault::Cut);
    check(&[0xff, 0xff, 0xff, 0xff], 16, CodecFault::Length);
    check(&[0x82, b'S', b'N', b'A'], 16, CodecFault::Length);
    check(b"\x82SNAPPY\0\0\0\0\x01\0\0\0", 16, CodecFault::Cut);
    check(&[0, 0, 0, 9, 1, 0, b'x'], 16, CodecFault::Cut);
    check(&[0, 0, 0, 0], 20, CodecFault::Data);
    check(&[0, 0, 0, 2, 200, 0], 20, CodecFault::Length);
}

#[test]
fn zstd_is_read_in_all_its_forms() {
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    for content in contents() {
        let (a, b) = content.split_at(content.len() / 2);
        let forms = [
            zstd(&content),
            streamed_zstd(&content),
            [zstd(a), streamed_zstd(b)].concat(),
            [streamed_zstd(a), zstd(b)].concat(),
            [
                &skippable[..],
                &zstd(a),
                &skippable,
                &zstd(b"").repeat(20),
                &zstd(b),
                &skippable,
            ]
            .concat(),
        ];
        check_forms(Codec::Zstd, &content, &forms);
    }
    check_prefixes(Codec::Zstd, &skippable);
    check_prefixes(Codec::Zstd, &zstd(b"text"));
    check_prefixes(Codec::Zstd, &streamed_zstd(&b"text".repeat(20)));
    assert_eq!(inflate(Codec::Zstd, &skippable.repeat(10_000)), Ok(vec![]));
}

#[test]
fn zstd_windows_up_to_128_mib_are_taken() {
    let content = long_text();
    let with_window = |log: u32| {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(
        inflate(Codec::Zstd, &with_window(27)).as_ref(),
        Ok(&content)
    );
    let error = inflate(Codec::Zstd, &with_window(28)).unwrap_err();
    assert!(matches!(
        error,
        CodecError::Malformed {
            fault: CodecFault::Window,
            ..
        }
    ));
}

#[test]
fn a_zstd_checksum_is_checked() {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(b"text").unwrap();
    let mut form = encoder.finish().unwrap();
    *form.last_mut().unwrap() ^= 1;
    let error = inflate(Codec::Zstd, &form).unwrap_err();
    assert!(matches!(
        error,
        CodecError::Malformed {
            fault: CodecFault::Checksum,
            ..
        }
    ));
}

#[test]
fn a_decoder_works_on_after_bad_data() {
    let mut codecs = Codecs::default();
    let good = [
        (Codec::Gzip, [gzip(b"te"), gzip(b"xt")].concat()),
        (Codec::Snappy, snappy(b"text")),
        (Codec::Lz4, lz4(b"text")),
        (Codec::Zstd, streamed_zstd(b"text")),
    ];
    for (codec, form) in good {
        for bytes in 0..form.len() {
            assert_ne!(
                codecs.decompress(codec, &form[..bytes], 2, 100),
                Ok(&b"text"[..])
            );
            assert_eq!(
                codecs.decompress(codec, &form, 2, 100),
                Ok(&b"text"[..]),
                "{codec} {bytes}"
            );
        }
    }
}

#[test]
fn an_announced_size_takes_no_memory() {
    let announced = 64_u32 << 20;
    let gzip = [&gzip(b"x")[..], b"rubbish", &announced.to_le_bytes()].concat();
    // One segment of 4 bytes of content size, one raw block of one byte, the last.
    let zstd = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..],
        &announced.to_le_bytes(),
        &[9, 0, 0, b'x'],
    ]
    .concat();
    let snappy = [0x80, 0x80, 0x80, 0x20, 0, b'x'];
    for (codec, input) in [
        (Codec::Gzip, &gzip[..]),
        (Codec::Zstd, &zstd),
        (Codec::Snappy, &snappy),
    ] {
        let mut codecs = Codecs::default();
        let result = codecs
            .decompress(codec, input, 2, 64 << 20)
            .map(<[u8]>::len);
        assert_eq!(result.is_ok(), codec == Codec::Gzip, "{codec}");
        assert!(codecs.memory_bytes() <= 4096, "{codec}");
    }
}

#[test]
fn a_bomb_is_too_large_and_its_memory_is_given_back() {
    let plain = batch(&some_records());
    let bomb = vec![0; 40 << 20];
    let limits = Limits {
        decompressed_bytes_max: 32 << 20,
        ..LIMITS
    };
    let forms = [
        (1, gzip(&bomb)),
        (2, snappy(&bomb)),
        (3, lz4(&bomb)),
        (4, zstd(&bomb)),
        (4, streamed_zstd(&bomb)),
    ];
    let mut decoder = Decoder::new();
    for (codec, form) in forms {
        let blob = with_records(&plain, codec, &form);
        let error = decode_within(&mut decoder, &blob, NEWEST, &limits).unwrap_err();
        let bytes_max = limits.decompressed_bytes_max;
        assert_eq!(error, DecodeError::TooManyBytes { bytes_max }, "{codec}");
        assert_eq!(error.refusal(), Refusal::TooLarge);
        assert!(decoder.codecs.memory_bytes() <= 4 << 20, "{codec}");
    }
    let good = with_records(&plain, 1, &gzip(&plain[61..]));
    assert_eq!(
        decode_within(&mut decoder, &good, NEWEST, &limits),
        Ok(some_records())
    );
}

#[test]
fn bad_compressed_data_is_invalid_so_that_clients_do_not_repeat_it() {
    let plain = batch(&some_records());
    for codec in 1..=4 {
        for data in [&b""[..], b"neither one nor the other", &[0xff; 64]] {
            assert_eq!(
                refusal(&with_records(&plain, codec, data), NEWEST),
                Refusal::Invalid
            );
        }
    }
}

#[test]
fn every_codec_is_read_in_a_batch() {
    let plain = batch(&some_records());
    let records = &plain[61..];
    let forms = [
        (1, gzip(records)),
        (2, snappy(records)),
        (2, framed_snappy(records)),
        (3, lz4(records)),
        (4, zstd(records)),
        (4, streamed_zstd(records)),
    ];
    for (codec, form) in forms {
        let blob = with_records(&plain, codec, &form);
        assert_eq!(decode(&blob, NEWEST), Ok(some_records()), "{codec}");
    }
}

#[test]
fn a_decoder_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Decoder>();
}
