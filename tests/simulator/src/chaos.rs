//! The faults of a world, and ways to break the design on purpose.

/// How often each fault happens: at one opportunity in this number, or never at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chaos {
    /// The function dies between two steps of a record.
    pub crash: u64,
    /// A write or send does not happen, and the call fails.
    pub refused: u64,
    /// A write or send happens, and its answer is lost.
    pub answer_lost: u64,
    /// An event's rows are written up to [`crate::world::LATEST_ROWS_MS`] after its jobs are sent, or never, because the api
    /// function died.
    pub rows_late: u64,
    /// SQS delivers a message a second time.
    pub duplicate: u64,
    /// The instances' clocks are wrong by up to this, in either direction.
    pub skew_ms: i64,
    /// A hidden or delayed message comes up to this much early or late.
    pub wander_ms: i64,
}

impl Chaos {
    /// All faults, each one often.
    pub const STORM: Self = Self {
        crash: 25,
        refused: 20,
        answer_lost: 20,
        rows_late: 4,
        duplicate: 40,
        skew_ms: 1_500,
        wander_ms: 1_500,
    };

    /// Crashes and failing calls, without duplicates and shifted times.
    pub const FAULTS: Self = Self {
        crash: 25,
        refused: 20,
        answer_lost: 20,
        rows_late: 4,
        duplicate: 0,
        skew_ms: 0,
        wander_ms: 0,
    };
}

/// The design as built, or the design without one of its parts. A test must notice each missing part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    AsBuilt,
    /// Waiting retries hide in the first-attempt queue.
    RetriesShareTheFirstQueue,
    /// The attempt's number is the message's receive count.
    NumberFromReceiveCount,
    /// A job that wakes acts at once, whether its attempt is due or not.
    NoDueCheck,
    /// Slow endpoints stay in the lanes of the others.
    OneLane,
    /// A hanging endpoint gets an attempt for every job that wakes.
    NoProbes,
    /// A single timeout counts as a hang, even if another attempt was answered in the meantime.
    OneTimeoutIsAHang,
    /// A job may use its slot of the rate limit however late it wakes.
    SlotsAreGoodForEver,
    /// A job that comes before its event's row is deleted.
    NoLookAgain,
    /// A job that missed its slot of the rate limit always waits for another usual slot.
    NoLateSlots,
}
