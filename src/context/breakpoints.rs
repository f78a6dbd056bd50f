//! Where consecutive contexts of a session stop being the same bytes.

use crate::context::{
    Breakpoint, Input, SectionKind,
    build::{Place, index, small},
    layout::Slab,
};

/// How many places providers take.
const BREAKPOINTS_MAX: usize = 4;

/// How many content blocks Anthropic looks back from a breakpoint for an entry of its cache.
const BLOCKS_MAX: usize = 20;

/// The distance of stable places inside the recent turns, in content blocks, counted from their
/// start: a place stays where it is until the start moves, so that a later call finds it again.
const STEP_BLOCKS: usize = 8;

/// A place after a slab.
struct Candidate {
    breakpoint: Breakpoint,
    blocks: usize,
    section: SectionKind,
}

/// Chooses breakpoints: the end of what is stable (recent turns, else summary, else instructions),
/// and before it the ends of the summary and of the instructions, and stable places among the
/// recent turns, newest first.
pub(super) fn place(
    slabs: &[Slab],
    places: &[Place],
    offset: i32,
    input: &Input<'_>,
) -> Vec<Breakpoint> {
    let ends = ends(slabs, places, offset, input);
    let Some(last) = ends.last() else { return Vec::new() };
    let near = ends.iter().filter(|end| last.blocks - end.blocks <= BLOCKS_MAX);
    let is_whole = |end: &Candidate| end.section != SectionKind::Recent;
    let whole = near.clone().filter(|end| is_whole(end)).count();
    let mut chosen: Vec<&Candidate> = Vec::new();
    for end in near.rev() {
        let limit = if is_whole(end) { BREAKPOINTS_MAX } else { BREAKPOINTS_MAX - whole };
        if chosen.len() < limit {
            chosen.push(end);
        }
    }
    chosen.iter().rev().map(|end| end.breakpoint).collect()
}

/// All places that may be chosen, in order; the last is the end of what is stable.
fn ends(slabs: &[Slab], places: &[Place], offset: i32, input: &Input<'_>) -> Vec<Candidate> {
    let is_stable = |section| section < SectionKind::Documents;
    let stable = slabs.iter().take_while(|slab| is_stable(slab.section)).count();
    let (mut tokens, mut blocks, mut recent_blocks) = (0, 0, 0);
    let mut ends = Vec::new();
    for (at, (slab, place)) in slabs[..stable].iter().zip(places).enumerate() {
        let before = recent_blocks / STEP_BLOCKS;
        tokens += slab.cost.tokens(&input.model.framing);
        blocks += place.parts;
        if slab.section == SectionKind::Recent {
            recent_blocks += place.parts;
        }
        let steps = recent_blocks / STEP_BLOCKS > before;
        let is_end = at + 1 == stable || slab.section != SectionKind::Recent;
        if (steps || is_end) && tokens >= u64::from(input.model.cacheable_prefix_tokens_min) {
            let breakpoint = Breakpoint {
                message_index: index(place.last, offset),
                part_index: u32::try_from(place.part).unwrap_or(u32::MAX),
                tokens: small(tokens),
            };
            ends.push(Candidate { breakpoint, blocks, section: slab.section });
        }
    }
    ends
}
