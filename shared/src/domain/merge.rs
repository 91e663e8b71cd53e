//! Merges lists that are sorted newest first, such as the partitions of one log, while as little as possible is read of each.
//!
//! A page must not show a row while an unread part of another list may hold a newer one. So the lists are asked in rounds:
//! first each for its share of the page, then those alone whose unread part may still hold rows of the page.

use std::cmp::Reverse;

use uuid::Uuid;

/// DynamoDB charges a query for at least 4 KB
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html), so fewer rows cost the same.
const LEAST: usize = 4;

/// The number of rows for which each list is asked beyond its share. A hash spreads rows unevenly, and a second question
/// would cost more than these rows.
const MORE: usize = 2;

/// The most rows that one list is asked for at once. A query with a larger limit still reads at most 1 MiB.
const MOST: usize = 5_000;

/// When a page is full.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub rows: usize,
    /// The page ends with the row that brings its bytes above this.
    pub bytes: usize,
    /// How many rows the first round looks at in all, at least. Where a filter passes over rows, a share of the page would be
    /// too few.
    pub look: usize,
    /// Over how many of the lists the rows are spread, as far as is known.
    pub spread: usize,
}

/// A question to one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub list: usize,
    /// Rows with smaller keys than this; `None` means from the newest on.
    pub below: Option<Uuid>,
    /// How many rows to look at.
    pub rows: usize,
}

/// What one list answered.
#[derive(Debug)]
pub struct Part<T> {
    pub rows: Vec<Row<T>>,
    /// The smallest key that was looked at; `None` when the list has no more.
    pub read_to: Option<Uuid>,
}

#[derive(Debug)]
pub struct Row<T> {
    pub key: Uuid,
    pub bytes: usize,
    pub value: T,
}

#[derive(Debug, Clone, Copy)]
enum Unread {
    All,
    Below(Uuid),
    Nothing,
}

/// A page while it is being read.
#[derive(Debug)]
pub struct Merge<T> {
    wanted: Wanted,
    /// The unread part of each list.
    lists: Vec<Unread>,
    rounds: u32,
    /// Newest first, without the rows behind the end of the page.
    found: Vec<Row<T>>,
    is_full: bool,
}

impl<T> Merge<T> {
    #[must_use]
    pub fn new(lists: usize, wanted: Wanted) -> Self {
        Self {
            wanted,
            lists: vec![Unread::All; lists],
            rounds: 0,
            found: Vec::new(),
            is_full: wanted.rows == 0,
        }
    }

    /// The questions of the next round; none when the page is complete.
    #[must_use]
    pub fn asks(&self) -> Vec<Ask> {
        let open: Vec<(usize, Option<Uuid>)> = self
            .lists
            .iter()
            .enumerate()
            .filter_map(|(list, unread)| match unread {
                Unread::All => Some((list, None)),
                Unread::Below(key) => Some((list, Some(*key))),
                Unread::Nothing => None,
            })
            .filter(|(_, below)| self.may_hold_more(*below))
            .collect();
        let rows = self.rows_to_ask(open.len());
        open.into_iter().map(|(list, below)| Ask { list, below, rows }).collect()
    }

    /// Whether rows below this key may belong to the page.
    fn may_hold_more(&self, below: Option<Uuid>) -> bool {
        if !self.is_full {
            return true;
        }
        let last = self.found.last().map(|last| last.key);
        last.zip(below).is_some_and(|(last, below)| below > last)
    }

    fn rows_to_ask(&self, open: usize) -> usize {
        let spread = self.wanted.spread.max(1);
        // Small steps would take too long to find rare rows.
        let look = self.wanted.look.div_ceil(spread) << self.rounds.min(16);
        let rows = if self.is_full {
            // These lists can only have newer rows than the page's last ones: some of their share, at first.
            (self.wanted.rows.div_ceil(spread) / 4) << self.rounds.saturating_sub(1).min(16)
        } else {
            let over = if self.rounds == 0 { spread } else { open.max(1) };
            let more = if over > 1 { MORE } else { 0 };
            let share = (self.wanted.rows - self.found.len()).div_ceil(over) + more;
            share.max(look).min(self.wanted.rows.max(look))
        };
        rows.max(LEAST.min(self.wanted.rows)).min(MOST)
    }

    /// Adds the answers to all questions of a round, each with its list.
    pub fn add(&mut self, answers: impl IntoIterator<Item = (usize, Part<T>)>) {
        for (list, part) in answers {
            self.lists[list] = part.read_to.map_or(Unread::Nothing, Unread::Below);
            self.found.extend(part.rows);
        }
        self.rounds += 1;
        self.found.sort_unstable_by_key(|row| Reverse(row.key));
        let mut bytes = 0;
        let before_end = self.found.iter().take_while(|row| {
            let is_inside = bytes <= self.wanted.bytes;
            bytes += row.bytes;
            is_inside
        });
        let end = before_end.count().min(self.wanted.rows);
        self.found.truncate(end);
        self.is_full = self.found.len() >= self.wanted.rows || bytes > self.wanted.bytes;
    }

    /// The rows of the page, newest first.
    #[must_use]
    pub fn page(self) -> Vec<T> {
        self.found.into_iter().map(|row| row.value).collect()
    }

    /// The rows of an unfinished page that certainly belong to it, and the key below which the list is to be read on.
    /// `None` when some list has not answered yet.
    #[must_use]
    pub fn so_far(mut self) -> Option<(Vec<T>, Uuid)> {
        let mut read_to = Uuid::nil();
        for unread in &self.lists {
            match unread {
                Unread::All => return None,
                Unread::Below(key) => read_to = read_to.max(*key),
                Unread::Nothing => {}
            }
        }
        self.found.retain(|row| row.key >= read_to);
        Some((self.page(), read_to))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Lists in memory, newest first: key, bytes, and whether the filter lets the row pass.
    type Lists = Vec<Vec<(u128, usize, bool)>>;

    struct Done {
        page: Vec<u128>,
        looked_at: usize,
        rounds: usize,
        questions: usize,
    }

    fn run(lists: &Lists, wanted: Wanted) -> Done {
        let mut merge = Merge::new(lists.len(), wanted);
        let (mut looked_at, mut rounds, mut questions) = (0, 0, 0);
        loop {
            let asks = merge.asks();
            if asks.is_empty() {
                return Done { page: merge.page(), looked_at, rounds, questions };
            }
            (rounds, questions) = (rounds + 1, questions + asks.len());
            looked_at += asks.iter().map(|ask| unread(lists, *ask).count()).sum::<usize>();
            let answers: Vec<_> = asks.into_iter().map(|ask| answer(lists, ask)).collect();
            merge.add(answers);
        }
    }

    /// What a list has to show for a question.
    fn unread(lists: &Lists, ask: Ask) -> impl Iterator<Item = &(u128, usize, bool)> {
        let below = ask.below.map_or(u128::MAX, |below| below.as_u128());
        lists[ask.list].iter().filter(move |(key, ..)| *key < below).take(ask.rows)
    }

    fn answer(lists: &Lists, ask: Ask) -> (usize, Part<u128>) {
        let seen: Vec<_> = unread(lists, ask).collect();
        // As DynamoDB, which finds the end only when it reads past the last row.
        let read_to = seen.last().filter(|_| seen.len() == ask.rows).map(|(key, ..)| Uuid::from_u128(*key));
        let passing = seen.into_iter().filter(|(_, _, passes)| *passes);
        let row = |&(key, bytes, _): &_| Row { key: Uuid::from_u128(key), bytes, value: key };
        (ask.list, Part { rows: passing.map(row).collect(), read_to })
    }

    /// What a page must be: the sorted rows of all lists, up to its end.
    fn expected(lists: &Lists, wanted: Wanted) -> Vec<u128> {
        let mut rows: Vec<_> = lists.concat().into_iter().filter(|(_, _, passes)| *passes).collect();
        rows.sort_unstable_by_key(|(key, ..)| Reverse(*key));
        let mut bytes = 0;
        let mut page = Vec::new();
        for (key, size, _) in rows {
            if page.len() >= wanted.rows || bytes > wanted.bytes {
                break;
            }
            bytes += size;
            page.push(key);
        }
        page
    }

    #[test]
    fn a_page_is_the_start_of_the_sorted_whole() {
        let mut random = StdRng::seed_from_u64(7);
        for case in 0..600 {
            let lists = random.random_range(1..=20);
            let stored = random.random_range(0..300_u128);
            // Every third case has most rows in one list, and another third filters nearly all of them out.
            let mut all: Lists = vec![Vec::new(); lists];
            for key in 0..stored {
                let skewed = case % 3 == 0 && random.random_ratio(9, 10);
                let list = if skewed { 0 } else { random.random_range(0..lists) };
                let passes = case % 3 != 1 || random.random_ratio(1, 20);
                all[list].push((key + 1, random.random_range(0..100), passes));
            }
            for list in &mut all {
                list.reverse();
            }
            let bytes = if case % 2 == 0 { usize::MAX / 2 } else { random.random_range(0..5_000) };
            let look = if case % 3 == 1 { 250 } else { 0 };
            let rows = random.random_range(0..=101);
            let wanted = Wanted { rows, bytes, look, spread: random.random_range(1..=lists) };
            assert_eq!(run(&all, wanted).page, expected(&all, wanted), "case {case}: {wanted:?}");
        }
    }

    #[test]
    fn a_page_that_is_given_up_goes_on_where_it_was() {
        let mut random = StdRng::seed_from_u64(5);
        let mut given_up = 0;
        for case in 0..300 {
            let mut all: Lists = vec![Vec::new(); random.random_range(1..=6)];
            let lists = all.len();
            for key in (1..=400).rev() {
                all[random.random_range(0..lists)].push((key, 0, random.random_ratio(1, 20)));
            }
            let wanted = Wanted { rows: 10, bytes: usize::MAX, look: 12, spread: lists };
            let (mut pages, mut below) = (Vec::new(), u128::MAX);
            loop {
                let left: Lists = all
                    .iter()
                    .map(|list| list.iter().filter(|(key, ..)| *key < below).copied().collect())
                    .collect();
                let mut merge = Merge::new(lists, wanted);
                let (mut read_to, mut rounds) = (None, 0);
                let page = loop {
                    let asks = merge.asks();
                    if asks.is_empty() {
                        break merge.page();
                    }
                    if rounds == 2 {
                        let (page, key) = merge.so_far().expect("all lists have answered");
                        read_to = Some(key.as_u128());
                        given_up += 1;
                        break page;
                    }
                    rounds += 1;
                    let answers: Vec<_> = asks.into_iter().map(|ask| answer(&left, ask)).collect();
                    merge.add(answers);
                };
                let is_full = page.len() == wanted.rows;
                below = read_to.unwrap_or_else(|| page.last().copied().unwrap_or(0));
                pages.extend(page);
                if read_to.is_none() && !is_full {
                    break;
                }
            }
            assert_eq!(pages, expected(&all, Wanted { rows: 400, ..wanted }), "case {case}");
        }
        assert!(given_up > 300, "{given_up}");
    }

    #[test]
    fn a_page_of_16_even_lists_reads_little_more_than_it_shows() {
        let mut random = StdRng::seed_from_u64(11);
        let wanted = Wanted { rows: 51, bytes: usize::MAX, look: 0, spread: 16 };
        let (mut looked_at, mut rounds, mut questions) = (0, 0, 0);
        for _ in 0..100 {
            let mut all: Lists = vec![Vec::new(); 16];
            for key in (1..=400).rev() {
                all[random.random_range(0..16)].push((key, 0, true));
            }
            let done = run(&all, wanted);
            looked_at += done.looked_at;
            questions += done.questions;
            rounds += done.rounds;
        }
        let each_page =
            [looked_at, questions, rounds].map(|sum| f64::from(u32::try_from(sum).unwrap_or(0)) / 100.0);
        let [looked_at, questions, rounds] = each_page;
        assert!(looked_at < 105.0 && questions < 19.0 && rounds < 2.2, "{each_page:?}");
    }

    #[test]
    fn a_single_list_is_asked_once_for_the_whole_page() {
        let list: Lists = vec![(1..=500).rev().map(|key| (key, 0, true)).collect()];
        let done = run(&list, Wanted { rows: 51, bytes: usize::MAX, look: 0, spread: 1 });
        assert_eq!((done.looked_at, done.rounds), (51, 1));
    }
}
