//! Bytes as decisions, so that a fuzzer that changes bytes changes one decision each.

/// The bytes that are left. When they are used up, each further decision is the first choice.
pub(crate) struct Choices<'bytes>(&'bytes [u8]);

/// Parts of strings that are most likely to be taken for something else.
const PARTS: [&str; 48] = [
    "a",
    "A",
    "load",
    "Load",
    "x",
    "0",
    "9",
    "-",
    "_",
    ".",
    "..",
    "/",
    "\\",
    "#",
    "#2",
    "[",
    "]",
    "[0]",
    "%",
    "%2f",
    "%23",
    "=",
    "=2f",
    "=-",
    "con",
    "nul",
    ".json",
    ".tmp",
    " ",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{9b}",
    "\u{200b}",
    "\u{200e}",
    "\u{202e}",
    "\u{2066}",
    "\u{2028}",
    "\u{feff}",
    "\u{e0041}",
    "ä",
    "a\u{308}",
    "ß",
    "日本",
    "👩\u{200d}👧",
];

impl<'bytes> Choices<'bytes> {
    pub(crate) fn new(bytes: &'bytes [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `count`, which is at most 65,536.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        let mut number = 0;
        for _ in 0..if count > 256 { 2 } else { 1 } {
            let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
            number = number << 8 | usize::from(*first);
            self.0 = rest;
        }
        number % count
    }

    /// A string of up to `most` parts, now and then of a great many.
    pub(crate) fn string(&mut self, most: usize) -> String {
        let count = self.pick(most + 1);
        let repeated = if self.pick(64) == 63 { 150 } else { 1 };
        let parts: String = (0..count).map(|_| self.part()).collect();
        parts.repeat(repeated)
    }

    fn part(&mut self) -> &'static str {
        PARTS[self.pick(PARTS.len())]
    }
}
