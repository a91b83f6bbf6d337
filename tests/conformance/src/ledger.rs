//! What clients wrote and were told, held against what is stored.
//!
//! Every acknowledged write is there exactly once, no other one is there twice, nothing is there that nobody wrote,
//! and the numbers the database gives (a session's `seq`, a machine's `version`) have no gap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio_postgres::Client;
use uuid::Uuid;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A chat message.
    Message,
    /// A move of a session's machine.
    Move,
    /// An event for the statistics.
    Event,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What.
    pub kind: Kind,
    /// Whose.
    pub user_id: Uuid,
    /// Where; an event has none.
    pub session_id: Uuid,
    /// The client's id for it, the same for every try.
    pub id: Uuid,
    /// Its content, which no other write has: a second row under another id is found by it.
    pub mark: String,
    /// Whether the client was told that it is stored.
    pub acknowledged: bool,
}

impl Entry {
    /// A write with a new id.
    pub fn new(kind: Kind, user_id: Uuid, session_id: Uuid, what: &str) -> Self {
        let id = Uuid::new_v4();
        let mark = format!("{what} of {session_id}, once {}", Uuid::new_v4());
        Self { kind, user_id, session_id, id, mark, acknowledged: false }
    }
}

/// All writes, each session's in their order.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<Entry>>);

/// A stored row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which table.
    pub kind: Kind,
    /// The session.
    pub session_id: Uuid,
    /// The client's id.
    pub id: Uuid,
    /// Its number within the session, where it has one.
    pub number: Option<i64>,
    /// Its content, where it holds any.
    pub mark: Option<String>,
}

/// What the database holds.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Everything written.
    pub rows: Vec<Row>,
    /// Each session's version.
    pub versions: BTreeMap<Uuid, i64>,
    /// How often each session was counted as started.
    pub starts: BTreeMap<Uuid, i64>,
}

/// How many writes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Tried.
    pub tried: usize,
    /// Acknowledged.
    pub acknowledged: usize,
}

impl Ledger {
    /// Writes a write down, before it is sent.
    pub fn begin(&self, entry: Entry) -> usize {
        let mut entries = self.0.lock().unwrap();
        entries.push(entry);
        entries.len() - 1
    }

    /// It has been acknowledged.
    pub fn acknowledge(&self, number: usize) {
        self.0.lock().unwrap()[number].acknowledged = true;
    }

    /// How many there are so far.
    pub fn counts(&self) -> Counts {
        let entries = self.0.lock().unwrap();
        let acknowledged = entries.iter().filter(|entry| entry.acknowledged).count();
        Counts { tried: entries.len(), acknowledged }
    }

    /// Everything that does not agree with the database; empty when all does.
    pub async fn complaints(&self, database: &Client) -> Vec<String> {
        let entries = self.0.lock().unwrap().clone();
        let stored = Stored::read(database, &entries).await;
        complaints(&entries, &stored)
    }
}

impl Stored {
    /// Reads all there is about the ledger's sessions and people.
    async fn read(database: &Client, entries: &[Entry]) -> Self {
        let sessions: BTreeSet<Uuid> = entries.iter().map(|entry| entry.session_id).collect();
        let people: BTreeSet<Uuid> = entries.iter().map(|entry| entry.user_id).collect();
        let (sessions, people): (Vec<_>, Vec<_>) = (sessions.into_iter().collect(), people.into_iter().collect());
        let query = "select 0, session_id, id, seq, message from public.chat_history where session_id = any($1)
            union all
            select 1, session_id, id, version, response from public.session_transitions where session_id = any($1)
            union all
            select 2, null, id, null, event_data->>'n' from public.analytics
            where event_type = 'ledger' and user_id = any($2)";
        let rows = database.query(query, &[&sessions, &people]).await.expect("what is stored");
        let kinds = [Kind::Message, Kind::Move, Kind::Event];
        let read = |row: &tokio_postgres::Row| Row {
            kind: kinds[usize::try_from(row.get::<_, i32>(0)).unwrap()],
            session_id: row.get::<_, Option<Uuid>>(1).unwrap_or_default(),
            id: row.get(2),
            number: row.get(3),
            mark: row.get(4),
        };
        let query = "select session_id, version::bigint, (
                select count(*) from public.analytics a
                where a.session_id = s.session_id and a.event_type = 'session_started')
            from public.sessions s where session_id = any($1)";
        let numbers = database.query(query, &[&sessions]).await.expect("the sessions");
        Self {
            rows: rows.iter().map(read).collect(),
            versions: numbers.iter().map(|row| (row.get(0), row.get(1))).collect(),
            starts: numbers.iter().map(|row| (row.get(0), row.get(2))).collect(),
        }
    }
}

/// The judgement: what is stored must follow from what was written.
pub fn complaints(entries: &[Entry], stored: &Stored) -> Vec<String> {
    let mut complaints = Vec::new();
    each_write_is_there_as_often_as_it_may(entries, stored, &mut complaints);
    nothing_is_there_that_nobody_wrote(entries, stored, &mut complaints);
    numbers_are_unbroken_and_in_order(entries, stored, &mut complaints);
    complaints
}

fn each_write_is_there_as_often_as_it_may(entries: &[Entry], stored: &Stored, complaints: &mut Vec<String>) {
    let (mut by_id, mut by_mark) = (BTreeMap::new(), BTreeMap::new());
    for row in &stored.rows {
        *by_id.entry((row.kind, row.id)).or_insert(0) += 1;
        if let Some(mark) = &row.mark {
            *by_mark.entry(mark.as_str()).or_insert(0) += 1;
        }
    }
    for entry in entries {
        let count = by_id.get(&(entry.kind, entry.id)).copied().unwrap_or(0);
        if entry.acknowledged && count == 0 {
            complaints.push(format!("lost: {:?} {} was acknowledged ({})", entry.kind, entry.id, entry.mark));
        }
        if count.max(by_mark.get(entry.mark.as_str()).copied().unwrap_or(0)) > 1 {
            complaints.push(format!("doubled: {:?} {} ({})", entry.kind, entry.id, entry.mark));
        }
    }
}

fn nothing_is_there_that_nobody_wrote(entries: &[Entry], stored: &Stored, complaints: &mut Vec<String>) {
    let known: BTreeMap<(Kind, Uuid), &Entry> = entries.iter().map(|entry| ((entry.kind, entry.id), entry)).collect();
    for row in &stored.rows {
        match known.get(&(row.kind, row.id)) {
            None => complaints.push(format!("unknown: {:?} {} in session {}", row.kind, row.id, row.session_id)),
            Some(entry) if row.mark.as_ref().is_some_and(|mark| *mark != entry.mark) => {
                complaints.push(format!("changed: {:?} {} says {:?}", row.kind, row.id, row.mark));
            }
            Some(_) => {}
        }
    }
}

fn numbers_are_unbroken_and_in_order(entries: &[Entry], stored: &Stored, complaints: &mut Vec<String>) {
    let mut sessions: BTreeMap<(Kind, Uuid), BTreeMap<i64, Uuid>> = BTreeMap::new();
    for row in stored.rows.iter().filter(|row| row.kind != Kind::Event) {
        let number = row.number.unwrap_or_default();
        if sessions.entry((row.kind, row.session_id)).or_default().insert(number, row.id).is_some() {
            complaints.push(format!("two rows are number {number} of session {}", row.session_id));
        }
    }
    for ((kind, session_id), rows) in &sessions {
        let count = i64::try_from(rows.len()).unwrap();
        if !rows.keys().copied().eq(1..=count) {
            complaints.push(format!("gap: {kind:?} of session {session_id} are {:?}", rows.keys()));
        }
        // The client wrote one after the other, so they are in its order.
        let places: BTreeMap<Uuid, usize> =
            entries.iter().enumerate().map(|(place, entry)| (entry.id, place)).collect();
        let order: Vec<_> = rows.values().filter_map(|id| places.get(id)).collect();
        if !order.is_sorted() {
            complaints.push(format!("out of order: {kind:?} of session {session_id}"));
        }
        if *kind == Kind::Move {
            if stored.versions.get(session_id) != Some(&count) {
                let version = stored.versions.get(session_id);
                complaints.push(format!("session {session_id} is at version {version:?} after {count} moves"));
            }
            if stored.starts.get(session_id) != Some(&1) {
                let starts = stored.starts.get(session_id);
                complaints.push(format!("session {session_id} was counted as started {starts:?} times"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Entry, Kind, Row, Stored, Uuid, complaints};

    /// Three acknowledged messages, three acknowledged moves and two events, stored as they should be.
    fn scene() -> (Vec<Entry>, Stored) {
        let (user_id, talk, course) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let mut entries = Vec::new();
        for (kind, session_id, count) in [(Kind::Message, talk, 3), (Kind::Move, course, 3), (Kind::Event, talk, 2)] {
            for place in 0..count {
                let entry = Entry::new(kind, user_id, session_id, &place.to_string());
                entries.push(Entry { acknowledged: true, ..entry });
            }
        }
        let mut numbers: BTreeMap<(Kind, Uuid), i64> = BTreeMap::new();
        let row = |entry: &Entry| {
            let number = numbers.entry((entry.kind, entry.session_id)).or_default();
            *number += 1;
            Row {
                kind: entry.kind,
                session_id: entry.session_id,
                id: entry.id,
                number: (entry.kind != Kind::Event).then_some(*number),
                // Every other move stores no response.
                mark: (entry.kind != Kind::Move || *number % 2 == 1).then(|| entry.mark.clone()),
            }
        };
        let rows = entries.iter().map(row).collect();
        let stored =
            Stored { rows, versions: [(talk, 0), (course, 3)].into(), starts: [(talk, 0), (course, 1)].into() };
        (entries, stored)
    }

    /// The first words of the complaints about a scene that has been changed.
    fn after(change: impl FnOnce(&mut Vec<Entry>, &mut Stored)) -> Vec<String> {
        let (mut entries, mut stored) = scene();
        change(&mut entries, &mut stored);
        let complaints = complaints(&entries, &stored);
        complaints.iter().map(|text| text.split([':', ' ']).next().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_as_it_should_be_raises_no_complaint() {
        assert!(after(|_, _| ()).is_empty());
    }

    #[test]
    fn an_unacknowledged_write_may_be_there_or_not() {
        assert!(after(|entries, _| entries[2].acknowledged = false).is_empty());
        let without_the_last = |entries: &mut Vec<Entry>, stored: &mut Stored| {
            entries[2].acknowledged = false;
            stored.rows.remove(2);
        };
        assert!(after(without_the_last).is_empty());
    }

    #[test]
    fn a_missing_row_is_noticed() {
        assert_eq!(after(|_, stored| drop(stored.rows.remove(2))), ["lost"]);
        assert_eq!(after(|_, stored| drop(stored.rows.remove(7))), ["lost"], "an event");
        assert_eq!(
            after(|_, stored| drop(stored.rows.remove(5))),
            ["lost", "session"],
            "a move, and the version tells"
        );
    }

    #[test]
    fn a_second_row_is_noticed_under_the_same_id_and_under_another() {
        let again = |stored: &Stored, at: usize, id: Option<Uuid>, number| {
            let row = stored.rows[at].clone();
            Row { id: id.unwrap_or(row.id), number, ..row }
        };
        assert_eq!(
            after(|_, stored| stored.rows.push(again(stored, 0, None, Some(4)))),
            ["doubled", "out"],
            "the same id twice"
        );
        assert_eq!(
            after(|_, stored| stored.rows.push(again(stored, 2, Some(Uuid::new_v4()), Some(4)))),
            ["doubled", "unknown"],
            "the same content under an id the client never made"
        );
        let unacknowledged_event_twice = |entries: &mut Vec<Entry>, stored: &mut Stored| {
            entries[7].acknowledged = false;
            stored.rows.push(again(stored, 7, None, None));
        };
        assert_eq!(after(unacknowledged_event_twice), ["doubled"]);
    }

    #[test]
    fn a_gap_is_noticed() {
        assert_eq!(after(|_, stored| stored.rows[2].number = Some(4)), ["gap"]);
        assert_eq!(after(|_, stored| stored.rows[5].number = Some(7)), ["gap"]);
    }

    #[test]
    fn rows_in_another_order_than_they_were_written_in_are_noticed() {
        let swap = |_: &mut Vec<Entry>, stored: &mut Stored| {
            (stored.rows[0].number, stored.rows[1].number) = (Some(2), Some(1));
        };
        assert_eq!(after(swap), ["out"]);
    }

    #[test]
    fn changed_content_and_a_row_nobody_wrote_are_noticed() {
        assert_eq!(after(|_, stored| stored.rows[1].mark = Some("else".to_owned())), ["changed"]);
        assert_eq!(after(|_, stored| stored.rows[6].id = Uuid::new_v4()), ["lost", "unknown"]);
    }

    #[test]
    fn a_version_that_is_not_the_number_of_moves_and_a_second_start_are_noticed() {
        assert_eq!(after(|_, stored| *stored.versions.values_mut().max().unwrap() = 4), ["session"]);
        assert_eq!(after(|_, stored| *stored.starts.values_mut().max().unwrap() = 2), ["session"]);
    }
}
