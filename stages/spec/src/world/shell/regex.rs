//! POSIX regular expressions as GNU sed and grep read them, as far as one reading is certain: a row of single
//! characters, each perhaps repeated, with groups around parts of it.

use super::{Sure, Unsure};

/// A regular expression without alternatives, repeated groups and references.
#[derive(Debug)]
pub(super) struct Regex {
    items: Vec<Item>,
    groups: usize,
}

#[derive(Debug)]
enum Item {
    Start,
    End,
    Open(usize),
    Close(usize),
    /// One character, so many times.
    Some {
        one: One,
        least: usize,
        most: usize,
    },
}

#[derive(Debug)]
enum One {
    This(u8),
    Any,
    Of { members: Vec<(u8, u8)>, negated: bool },
}

/// Where it matched, and where the groups did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) groups: Vec<(usize, usize)>,
}

/// The work of finding one match.
const MOST_STEPS: u32 = 200_000;

impl Regex {
    /// Reads a basic, or an extended, expression.
    pub(super) fn parse(text: &str, extended: bool) -> Sure<Self> {
        let mut reader = Reader {
            rest: text.as_bytes(),
            extended,
            items: Vec::new(),
            open: Vec::new(),
            groups: 0,
        };
        while !reader.rest.is_empty() {
            reader.item()?;
        }
        // An empty expression stands for the one before it.
        if reader.items.is_empty() || !reader.open.is_empty() || reader.items.len() > 500 {
            return Err(Unsure);
        }
        Ok(Self {
            items: reader.items,
            groups: reader.groups,
        })
    }

    /// How many groups it has.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The first match in a line that begins at `from` or later.
    pub(super) fn find(&self, line: &str, from: usize) -> Sure<Option<Match>> {
        for start in from..=line.len() {
            let mut search = Search {
                line: line.as_bytes(),
                steps: 0,
                groups: vec![(0, 0); self.groups],
            };
            if let Some(end) = search.greedy(&self.items, start)? {
                // POSIX wants the longest; where greed finds a shorter one, C libraries are known to disagree.
                if self.longest(line.as_bytes(), start) != Some(end) {
                    return Err(Unsure);
                }
                return Ok(Some(Match {
                    start,
                    end,
                    groups: search.groups,
                }));
            }
        }
        Ok(None)
    }

    /// Where the longest match from `start` ends: all ends that each item can reach from those of the one before.
    fn longest(&self, line: &[u8], start: usize) -> Option<usize> {
        let mut reached = vec![false; line.len() + 1];
        reached[start] = true;
        for item in &self.items {
            let mut next = vec![false; line.len() + 1];
            for at in (start..=line.len()).filter(|at| reached[*at]) {
                match item {
                    Item::Open(_) | Item::Close(_) => next[at] = true,
                    Item::Start => next[at] |= at == 0,
                    Item::End => next[at] |= at == line.len(),
                    Item::Some { one, least, most } => {
                        let run = one.run(&line[at..], *most);
                        (*least..=run).for_each(|count| next[at + count] = true);
                    }
                }
            }
            reached = next;
        }
        reached.iter().rposition(|is| *is)
    }
}

struct Search<'a> {
    line: &'a [u8],
    steps: u32,
    groups: Vec<(usize, usize)>,
}

impl Search<'_> {
    /// The end of the match that takes as much as it can, item by item.
    fn greedy(&mut self, items: &[Item], at: usize) -> Sure<Option<usize>> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Unsure);
        }
        let Some((item, rest)) = items.split_first() else {
            return Ok(Some(at));
        };
        match item {
            Item::Start if at != 0 => Ok(None),
            Item::End if at != self.line.len() => Ok(None),
            Item::Start | Item::End => self.greedy(rest, at),
            Item::Open(group) => {
                let before = self.groups[*group];
                self.groups[*group].0 = at;
                let end = self.greedy(rest, at)?;
                if end.is_none() {
                    self.groups[*group] = before;
                }
                Ok(end)
            }
            Item::Close(group) => {
                self.groups[*group].1 = at;
                self.greedy(rest, at)
            }
            Item::Some { one, least, most } => {
                let run = one.run(&self.line[at..], *most);
                for count in (*least..=run).rev() {
                    if let Some(end) = self.greedy(rest, at + count)? {
                        return Ok(Some(end));
                    }
                }
                Ok(None)
            }
        }
    }
}

impl One {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::This(this) => *this == byte,
            Self::Any => true,
            Self::Of { members, negated } => {
                members
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&byte))
                    != *negated
            }
        }
    }

    /// How many characters in a row it takes.
    fn run(&self, text: &[u8], most: usize) -> usize {
        text.iter()
            .take(most)
            .take_while(|byte| self.takes(**byte))
            .count()
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    extended: bool,
    items: Vec<Item>,
    /// Groups not closed yet.
    open: Vec<usize>,
    groups: usize,
}

impl Reader<'_> {
    fn item(&mut self) -> Sure<()> {
        let first = self.items.is_empty() || matches!(self.items.last(), Some(Item::Open(_)));
        let (byte, rest) = self.rest.split_first().ok_or(Unsure)?;
        self.rest = rest;
        let escaped = *byte == b'\\';
        let byte = if escaped { self.take()? } else { *byte };
        // What is special bare in one dialect is special with a backslash in the other.
        let special =
            matches!(byte, b'(' | b')' | b'+' | b'?' | b'{' | b'}' | b'|') && escaped != self.extended;
        let one = match byte {
            b'(' if special => {
                self.items.push(Item::Open(self.groups));
                self.open.push(self.groups);
                self.groups += 1;
                return Ok(());
            }
            b')' if special => {
                let group = self.open.pop().ok_or(Unsure)?;
                self.items.push(Item::Close(group));
                // A group repeated: which of its matches counts is where C libraries differ.
                return if self.repeats() { Err(Unsure) } else { Ok(()) };
            }
            _ if special => return Err(Unsure),
            b'^' if !escaped && (first || self.extended) => {
                self.items.push(Item::Start);
                return if first && !self.repeats() {
                    Ok(())
                } else {
                    Err(Unsure)
                };
            }
            b'$' if !escaped && (self.extended || self.ends()) => {
                self.items.push(Item::End);
                return if self.ends() { Ok(()) } else { Err(Unsure) };
            }
            // After something it is taken with it; what it is elsewhere depends.
            b'*' if !escaped => return Err(Unsure),
            b'.' if !escaped => One::Any,
            b'[' if !escaped => self.set()?,
            // The others with a backslash are classes, anchors and references, or nobody's.
            _ if escaped && !b".*[]^$/-+?(){}|,:;!@#%&=_~\"\\ ".contains(&byte) => return Err(Unsure),
            _ => One::This(byte),
        };
        let (least, most) = self.repetition()?;
        self.items.push(Item::Some { one, least, most });
        Ok(())
    }

    fn take(&mut self) -> Sure<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Unsure)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Does the expression, or the group, end here?
    fn ends(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(if self.extended { b")" } else { b"\\)" })
    }

    /// Does something follow that repeats what was before?
    fn repeats(&self) -> bool {
        match self.rest {
            [b'*', ..] => true,
            [b'+' | b'?' | b'{', ..] => self.extended,
            [b'\\', b'+' | b'?' | b'{', ..] => !self.extended,
            _ => false,
        }
    }

    fn repetition(&mut self) -> Sure<(usize, usize)> {
        if !self.repeats() {
            return Ok((1, 1));
        }
        let range = match self.take()? {
            b'*' => (0, usize::MAX),
            b'\\' => match self.take()? {
                b'+' => (1, usize::MAX),
                b'?' => (0, 1),
                _ => return Err(Unsure),
            },
            b'+' => (1, usize::MAX),
            b'?' => (0, 1),
            _ => return Err(Unsure),
        };
        if self.repeats() { Err(Unsure) } else { Ok(range) }
    }

    /// What is between brackets.
    fn set(&mut self) -> Sure<One> {
        let negated = self.rest.first() == Some(&b'^');
        self.rest = &self.rest[usize::from(negated)..];
        let mut members = Vec::new();
        loop {
            match self.rest {
                [b']', rest @ ..] if !members.is_empty() => {
                    self.rest = rest;
                    return Ok(One::Of { members, negated });
                }
                [b'[', b':', ..] => members.extend(self.class()?),
                // `[.`, `[=`; and GNU sed's own escapes in brackets.
                [b'[', b'.' | b'=', ..] | [b'\\', b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9', ..] | [] => {
                    return Err(Unsure);
                }
                [first, b'-', last, rest @ ..] if *last != b']' => {
                    if first > last || matches!(last, b'[' | b'\\') || matches!(first, b'\\') {
                        return Err(Unsure);
                    }
                    members.push((*first, *last));
                    self.rest = rest;
                }
                [one, rest @ ..] => {
                    members.push((*one, *one));
                    self.rest = rest;
                }
            }
        }
    }

    fn class(&mut self) -> Sure<Vec<(u8, u8)>> {
        type Ranges<'a> = &'a [(u8, u8)];
        let classes: [(&[u8], Ranges<'_>); 6] = [
            (b"[:digit:]", &[(b'0', b'9')]),
            (b"[:lower:]", &[(b'a', b'z')]),
            (b"[:upper:]", &[(b'A', b'Z')]),
            (b"[:alpha:]", &[(b'a', b'z'), (b'A', b'Z')]),
            (b"[:alnum:]", &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')]),
            (b"[:space:]", &[(b'\t', b'\r'), (b' ', b' ')]),
        ];
        for (name, members) in classes {
            if let Some(rest) = self.rest.strip_prefix(name) {
                self.rest = rest;
                return Ok(members.to_vec());
            }
        }
        Err(Unsure)
    }
}
