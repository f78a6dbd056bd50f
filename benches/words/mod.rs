//! Turns for benches: English-like, varied, the same in each run. Words follow Zipf's law, as they
//! do in talk, so that postings have the lengths that they have in real sessions.

use keepsake::sessions::NewTurn;
use keepsake::types::{Metadata, Part, Role, Status, Timestamp};

const VERBS: &str = "book visit call paint repair cook borrow plan finish choose carry send write \
    read build clean measure collect compare discuss drive explain find follow forget help invite";
const NOUNS: &str = "train garden kitchen bridge letter concert doctor window bicycle sister river \
    mountain recipe ticket budget museum winter teacher engine harbour market blanket camera \
    holiday neighbour passport piano saddle shelter station theatre village weather workshop";
const OTHERS: &str = "blue early quiet broken cheap heavy local narrow round sharp steep wooden \
    friday monday basel lisbon oslo vienna seven twelve thirty again always maybe often soon";
/// The words of any talk; about every second word is one of them.
const SMALL: &str = "the a I you it to and of in for on with my we that is was at this not";

/// A small generator of numbers (SplitMix64): the same seed, the same numbers.
pub struct Numbers(u64);

impl Numbers {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % end as u64).expect("it is below a usize")
    }

    /// A number below `end`, small ones the likelier: near to Zipf's law.
    fn skewed(&mut self, end: usize) -> usize {
        let most = self.below(end) + 1;
        self.below(most)
    }
}

/// A text of about `length` words. Rare words carry a number: a session of 10,000 turns then has
/// some 5,000 of them.
pub fn text(numbers: &mut Numbers, length: usize) -> String {
    let rich: Vec<&str> = [VERBS, NOUNS, OTHERS].iter().flat_map(|list| list.split(' ')).collect();
    let rich: Vec<&str> = rich.into_iter().filter(|word| !word.is_empty()).collect();
    let small: Vec<&str> = SMALL.split(' ').collect();
    let mut words = Vec::with_capacity(length);
    for _ in 0..length {
        words.push(match numbers.below(20) {
            0..10 => small[numbers.skewed(small.len())].to_owned(),
            10..19 => rich[numbers.skewed(rich.len())].to_owned(),
            _ => format!("{}{}", rich[numbers.below(rich.len())], numbers.skewed(50)),
        });
    }
    words.join(" ") + "."
}

/// `count` turns, user and assistant by turns, a minute apart, of 8 to 40 words (some 27 tokens).
pub fn turns(seed: u64, count: usize) -> Vec<NewTurn> {
    let mut numbers = Numbers::new(seed);
    (0..count).map(|place| turn(&mut numbers, place)).collect()
}

fn turn(numbers: &mut Numbers, place: usize) -> NewTurn {
    let length = 8 + numbers.skewed(33);
    let role = if place.is_multiple_of(2) { Role::User } else { Role::Assistant };
    let minutes = i64::try_from(place).expect("benches are small");
    NewTurn {
        role,
        name: String::new(),
        parts: vec![Part::Text(text(numbers, length))],
        created_at: Some(Timestamp(1_700_000_000_000 + minutes * 60_000)),
        external_id: String::new(),
        metadata: Metadata::new(),
        status: Status::Complete,
    }
}
