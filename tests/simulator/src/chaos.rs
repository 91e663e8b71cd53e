//! The faults of a world, and ways to break the design on purpose.

/// How often each fault happens: once in so many chances, or never at 0.
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

    /// Crashes and failing calls, without duplicates and shifted times.
    pub const FAULTS: Self =
        Self { crash: 25, refused: 20, answer_lost: 20, duplicate: 0, skew_ms: 0, wander_ms: 0 };
}

/// The design as built, or with one part taken out. A test must notice each missing part.
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
    /// A single timeout counts as a hang, even if another attempt was answered in the meantime.
    OneTimeoutIsAHang,
    /// However late a job wakes, its slot of the rate limit is still good.
    SlotsAreGoodForEver,
    /// A job that missed its slot of the rate limit always queues for another.
    NoLateSlots,
}
