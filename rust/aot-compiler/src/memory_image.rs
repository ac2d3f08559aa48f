//! The linear memory as a module's data segments leave it, as pages that a cache file can hold.
//!
//! A container whose memory begins as a mapping of these pages owns only those that it writes to. Where the
//! content cannot be told from the module alone there is no image, and the engine copies the segments as ever.

use aot_cache::{MemoryPages, MAX_MEMORY_RUNS, PAGE_BYTES};
use std::collections::BTreeMap;
use wasmparser::{DataKind, Operator, Parser, Payload};

/// Below this an image saves less than its mappings cost.
const LEAST_BYTES: usize = 64 << 10;
/// Untouched pages between two others are kept in one mapping with them up to here.
const GAP_BYTES: u64 = 256 << 10;
const PAGE: u64 = PAGE_BYTES as u64;

/// The runs of pages that hold data, in ascending order; none where an image is not worth it or not possible.
/// `wasm` has been validated.
pub fn of(wasm: &[u8]) -> Vec<MemoryPages> {
    let segments = match active_segments(wasm) {
        Some(segments) if segments.iter().map(|(_, data)| data.len()).sum::<usize>() >= LEAST_BYTES => {
            segments
        }
        _ => return Vec::new(),
    };
    let ranges = page_ranges(&segments);
    if ranges.len() > MAX_MEMORY_RUNS {
        return Vec::new();
    }
    let mut runs: Vec<MemoryPages> = ranges
        .into_iter()
        .map(|(start, end)| MemoryPages {
            memory_offset: start,
            bytes: vec![0; (end - start) as usize],
        })
        .collect();
    // In the module's order: a later segment overwrites an earlier one.
    for (offset, data) in segments {
        let run = runs
            .iter_mut()
            .rfind(|run| run.memory_offset <= offset)
            .expect("every segment lies in a range");
        let begin = (offset - run.memory_offset) as usize;
        run.bytes[begin..begin + data.len()].copy_from_slice(data);
    }
    runs
}

/// Offset and content of each active segment that has any; `None` where one of them cannot be told: an imported or
/// 64-bit memory, an offset that is computed, data beyond the memory's end.
fn active_segments(wasm: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut memory_bytes = None;
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::MemorySection(memories) => {
                let memory = memories.into_iter().next()?.ok()?;
                if memory.memory64 || memory.page_size_log2.is_some() {
                    return None;
                }
                memory_bytes = Some(memory.initial << 16);
            }
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment.ok()?;
                    let DataKind::Active {
                        memory_index: 0,
                        offset_expr,
                    } = &segment.kind
                    else {
                        match segment.kind {
                            DataKind::Passive => continue,
                            DataKind::Active { .. } => return None,
                        }
                    };
                    let mut operators = offset_expr.get_operators_reader();
                    let Operator::I32Const { value } = operators.read().ok()? else {
                        return None;
                    };
                    if !matches!(operators.read().ok()?, Operator::End) {
                        return None;
                    }
                    let offset = u64::from(value as u32);
                    // Without a memory of the module's own, which comes before the data, it is imported.
                    if offset + segment.data.len() as u64 > memory_bytes? {
                        return None;
                    }
                    if !segment.data.is_empty() {
                        segments.push((offset, segment.data));
                    }
                }
            }
            _ => {}
        }
    }
    Some(segments)
}

/// Page-aligned ranges that cover all segments, apart by more than the gap.
fn page_ranges(segments: &[(u64, &[u8])]) -> Vec<(u64, u64)> {
    let mut pages = BTreeMap::new();
    for (offset, data) in segments {
        let start = offset / PAGE * PAGE;
        let end = (offset + data.len() as u64).next_multiple_of(PAGE);
        let known = pages.entry(start).or_insert(end);
        *known = end.max(*known);
    }
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (start, end) in pages {
        match ranges.last_mut() {
            Some(last) if start <= last.1 + GAP_BYTES => last.1 = last.1.max(end),
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with a memory of `pages` and active segments; offsets below 2^31.
    fn module(pages: u8, segments: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([5, 3, 1, 0, pages]);
        let mut body = leb(segments.len() as u32);
        for (offset, data) in segments {
            body.extend([0, 0x41]);
            body.extend(leb_signed(*offset));
            body.push(0x0b);
            body.extend(leb(data.len() as u32));
            body.extend(data);
        }
        wasm.push(11);
        wasm.extend(leb(body.len() as u32));
        wasm.extend(body);
        wasm
    }

    fn leb(mut value: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn leb_signed(value: u32) -> Vec<u8> {
        let mut bytes = leb(value);
        let last = bytes.len() - 1;
        if bytes[last] & 0x40 != 0 {
            bytes[last] |= 0x80;
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn pages_hold_what_the_segments_leave_behind() {
        let first = vec![1; 70_000];
        let runs = of(&module(
            100,
            &[(5000, first), (5001, vec![2; 3]), (4 << 20, vec![3; 10])],
        ));
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].memory_offset, runs[0].bytes.len()), (4096, 73_728));
        assert_eq!(runs[0].bytes[903..909], [0, 1, 2, 2, 2, 1]);
        assert_eq!(runs[0].bytes[70_903..70_906], [1, 0, 0]);
        assert_eq!((runs[1].memory_offset, runs[1].bytes.len()), (4 << 20, 4096));
    }

    #[test]
    fn little_data_has_no_image() {
        assert!(of(&module(2, &[(0, vec![1; 60_000])])).is_empty());
        assert!(of(b"\0asm\x01\0\0\0").is_empty());
    }

    #[test]
    fn what_cannot_be_told_has_no_image() {
        let data = (0, vec![1; 100_000]);
        assert_eq!(of(&module(2, std::slice::from_ref(&data))).len(), 1);
        assert!(
            of(&module(1, std::slice::from_ref(&data))).is_empty(),
            "beyond the memory"
        );
        let far: Vec<(u32, Vec<u8>)> = (0..9).map(|n| (n << 19, vec![1; 9000])).collect();
        assert!(of(&module(100, &far)).is_empty(), "too many runs");
        let mut computed = module(2, &[data]);
        let offset = computed.iter().rposition(|&byte| byte == 0x41).unwrap();
        computed[offset] = 0x23;
        assert!(of(&computed).is_empty(), "an offset from a global");
    }
}
