//! Random numbers of a seed, and what the fuzzer draws with them.

/// Steele's SplitMix64: good enough to choose by, and neighbouring seeds have nothing in common.
#[derive(Clone)]
pub struct Random {
    state: u64,
}

/// Numbers at which something ends, for counts and lengths.
const EDGES: [u32; 14] =
    [0, 1, 3, 4, 5, 0x7f, 0x7fff, 0x8000, 0xffff, 10_000, 0x3fff_ffff, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`; zero if that is zero.
    pub const fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.number() % limit as u64) as usize }
    }

    pub const fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub const fn byte(&mut self) -> u8 {
        self.number() as u8
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Bytes, at most `most`.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }

    /// Text without NUL, at most `most` characters.
    pub fn text(&mut self, most: usize) -> String {
        let alphabet = ['a', 'Z', '0', ' ', '\'', '$', '\\', ';', '\n', 'ü', '€', '🐘'];
        (0..self.below(most + 1)).map(|_| *self.pick(&alphabet)).collect()
    }

    /// Changes a stream at some places, or not at all.
    pub fn mutate(&mut self, stream: &mut Vec<u8>) {
        for _ in 0..self.below(6) {
            self.mutate_once(stream);
        }
    }

    pub fn mutate_once(&mut self, stream: &mut Vec<u8>) {
        if stream.is_empty() {
            stream.push(self.byte());
            return;
        }
        let at = self.below(stream.len());
        match self.below(8) {
            0 => stream[at] ^= 1 << self.below(8),
            1 => stream[at] = self.byte(),
            2 => stream.insert(at, self.byte()),
            3 => {
                stream.remove(at);
            }
            4 => stream.truncate(at),
            5 => {
                let end = (at + self.below(16)).min(stream.len());
                let copy = stream[at..end].to_vec();
                let to = self.below(stream.len());
                stream.splice(to..to, copy);
            }
            6 => {
                let edge = self.pick(&EDGES).to_be_bytes();
                overwrite(stream, at, &edge);
            }
            _ => {
                let edge = self.pick(&EDGES).to_be_bytes();
                overwrite(stream, at, &edge[2..]);
            }
        }
    }
}

fn overwrite(stream: &mut [u8], at: usize, bytes: &[u8]) {
    for (old, new) in stream[at..].iter_mut().zip(bytes) {
        *old = *new;
    }
}
