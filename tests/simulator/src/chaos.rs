//! What goes wrong in a world, and ways to break the design on purpose.

/// Each fault happens once in so many chances; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chaos {
    /// The function dies between two steps of a record.
    pub crash: u64,
    /// A write or send does not happen and fails.
    pub refused: u64,
    /// A write or send happens and its answer is lost.
    pub answer_lost: u64,
    /// SQS hands out a message a second time.
    pub duplicate: u64,
    /// Clocks of instances differ by up to this, either way.
    pub skew_ms: i64,
    /// A hidden or delayed message comes this much early or late, at most.
    pub wander_ms: i64,
}

impl Chaos {
    /// Everything at once, often.
    pub const STORM: Self =
        Self { crash: 25, refused: 20, answer_lost: 20, duplicate: 40, skew_ms: 1_500, wander_ms: 1_500 };

    /// Faults of our own and of AWS's, without what SQS may do to a message unasked.
    pub const FAULTS: Self =
        Self { crash: 25, refused: 20, answer_lost: 20, duplicate: 0, skew_ms: 0, wander_ms: 0 };
}

/// The design, or one of its parts taken out: each must be seen to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    AsBuilt,
    /// Waiting retries hide in the first-attempt queue.
    RetriesShareTheFirstQueue,
    /// The attempt's number is how often SQS handed out the message.
    NumberFromReceiveCount,
    /// A woken job acts at once, due or not.
    NoDueCheck,
    /// Slow endpoints stay in the lanes of the others.
    OneLane,
    /// An endpoint that hangs gets as many attempts as come.
    NoProbes,
    /// A single timeout is taken for a hang, whatever was answered meanwhile.
    OneTimeoutIsAHang,
    /// However late a job wakes, its slot of the rate limit is still good.
    SlotsAreGoodForEver,
    /// Who missed a slot of the rate limit only ever queues for another.
    NoLateSlots,
}
