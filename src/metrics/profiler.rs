//! [`Profiler`]: how often named stretches of a program run, and how long they take.
//!
//! A stretch (a *span*) begins and ends on one thread; spans nest, and the same name below another parent is another
//! row of the report. Every thread keeps a tree of its own, so that threads do not wait for each other; a report adds
//! the trees up by path. An entry costs two readings of the clock and two locks that nobody else holds, about 0.1 us.

use super::profile::{Node, Profile};
use super::trace::{KeptSpans, Trace, TraceThread};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// Measures named spans of a program, nested and on several threads. Clones measure into the same report.
///
/// ```
/// use tessera::metrics::Profiler;
///
/// let profiler = Profiler::new();
/// for _ in 0..3 {
///     let _step = profiler.span("step"); // ends when it is dropped
///     profiler.start("solve"); // by hand: below "step", which is open
///     profiler.stop("solve")?;
/// }
/// std::thread::scope(|scope| {
///     scope.spawn(|| profiler.time("step", || ()));
/// });
/// let report = profiler.report();
/// assert_eq!((report.row("step").unwrap().calls, report.row("step/solve").unwrap().calls), (4, 3));
/// println!("{report}");
/// # Ok::<(), tessera::metrics::NotOpen>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Profiler(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    id: u64,
    begun: Instant,
    /// Spans that each thread keeps one by one; 0 for none.
    room: usize,
    threads: Mutex<Vec<Arc<Mutex<ThreadLog>>>>,
}

/// What one thread measured.
#[derive(Debug)]
struct ThreadLog {
    name: String,
    tree: Node,
    /// Names from the root down to the innermost open span, each with its place among its parent's children and its
    /// beginning.
    open: Vec<(usize, u64)>,
    kept: KeptSpans,
}

/// [`Profiler::stop`] was asked to end a span that is not the innermost open one of its thread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot stop `{asked}`: {}", match .innermost {
    Some(name) => format!("`{name}` was started after it and is still open"),
    None => "nothing is open on this thread".to_owned(),
})]
pub struct NotOpen {
    /// The name that was given.
    pub asked: String,
    /// The innermost open span of the thread, if any is.
    pub innermost: Option<String>,
}

/// A span that ends when it is dropped, along with all that were begun within it and are still open.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Span {
    /// The thread's log, and how many spans were open before this one.
    open: Option<(Arc<Shared>, Arc<Mutex<ThreadLog>>, usize)>,
    items: u64,
    /// Spans stay on their thread.
    thread: PhantomData<*const ()>,
}

/// While this lives, [`span`] on this thread measures into the profiler that made it.
#[derive(Debug)]
#[must_use = "the profiler is installed only as long as this lives"]
pub struct Installed {
    on: bool,
    thread: PhantomData<*const ()>,
}

/// A profiler, and the log of one thread in it.
type OwnLog = (Weak<Shared>, Arc<Mutex<ThreadLog>>);

thread_local! {
    /// This thread's log in each profiler that it measured into.
    static LOGS: RefCell<Vec<OwnLog>> = const { RefCell::new(Vec::new()) };
    /// The profilers installed on this thread; the last one counts.
    static INSTALLED: RefCell<Vec<Profiler>> = const { RefCell::new(Vec::new()) };
}

/// A span of the profiler that is [installed](Profiler::install) on this thread; nothing where none is.
pub fn span(name: &str) -> Span {
    INSTALLED.with(|installed| match installed.borrow().last() {
        Some(profiler) => profiler.span(name),
        None => Span::nothing(),
    })
}

/// Runs `work` as a [`span`].
pub fn timed<R>(name: &str, work: impl FnOnce() -> R) -> R {
    let _span = span(name);
    work()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Profiler {
    /// A profiler that sums spans up by path.
    pub fn new() -> Self {
        Self::with_trace(0)
    }

    /// A profiler that also keeps up to `room` spans of each thread one by one, for a [`trace`](Self::trace). When a
    /// thread has filled its room, its shortest spans give way, and such are not kept any more: see
    /// [`TraceThread::shortest_ns`]. Sums are not touched by it.
    pub fn with_trace(room: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Some(Arc::new(Shared { id, begun: Instant::now(), room, threads: Mutex::default() })))
    }

    /// A profiler that measures nothing: its spans cost a comparison.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether it measures.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// When it was made; the times of a trace count from then. `None` if it measures nothing.
    pub fn begun(&self) -> Option<Instant> {
        self.0.as_ref().map(|shared| shared.begun)
    }

    /// Begins a span that ends when the result is dropped.
    pub fn span(&self, name: &str) -> Span {
        let Some(shared) = &self.0 else { return Span::nothing() };
        let log = shared.log();
        let before = lock(&log).begin(name, shared);
        Span { open: Some((shared.clone(), log, before)), items: 0, thread: PhantomData }
    }

    /// Begins a span that [`stop`](Self::stop) ends.
    pub fn start(&self, name: &str) {
        if let Some(shared) = &self.0 {
            lock(&shared.log()).begin(name, shared);
        }
    }

    /// Ends the innermost open span of this thread, which has to be `name`; gives how long it took (zero from a profiler
    /// that measures nothing).
    ///
    /// # Errors
    /// [`NotOpen`] if the innermost open span has another name, or none is open. Nothing changes then.
    pub fn stop(&self, name: &str) -> Result<Duration, NotOpen> {
        let Some(shared) = &self.0 else { return Ok(Duration::ZERO) };
        let now = shared.now();
        let log = shared.log();
        let mut log = lock(&log);
        let innermost = log.innermost().map(str::to_owned);
        if innermost.as_deref() != Some(name) {
            return Err(NotOpen { asked: name.to_owned(), innermost });
        }
        Ok(Duration::from_nanos(log.end(now, 0)))
    }

    /// Runs `work` as a span.
    pub fn time<R>(&self, name: &str, work: impl FnOnce() -> R) -> R {
        let _span = self.span(name);
        work()
    }

    /// Makes [`span`] on this thread measure into this profiler until the result is dropped. Installing a profiler that
    /// is off hides one installed before.
    pub fn install(&self) -> Installed {
        INSTALLED.with(|installed| installed.borrow_mut().push(self.clone()));
        Installed { on: true, thread: PhantomData }
    }

    /// What was measured so far, summed over threads; spans that are still open do not count yet. Empty from a profiler
    /// that measures nothing.
    pub fn report(&self) -> Profile {
        let Some(shared) = &self.0 else { return Profile::default() };
        let mut all = Node::default();
        for log in lock(&shared.threads).iter() {
            all.add(&lock(log).tree);
        }
        Profile::of(&all, shared.begun.elapsed())
    }

    /// The spans kept one by one, thread by thread; empty unless [`with_trace`](Self::with_trace) made room for them.
    pub fn trace(&self) -> Trace {
        let Some(shared) = &self.0 else { return Trace::default() };
        let threads = lock(&shared.threads);
        let threads = threads.iter().map(|log| {
            let log = lock(log);
            let (events, dropped, shortest_ns) = log.kept.events();
            TraceThread { name: log.name.clone(), events, dropped, shortest_ns }
        });
        Trace { threads: threads.collect(), notes: Vec::new() }
    }
}

impl Shared {
    fn now(&self) -> u64 {
        nanoseconds(self.begun.elapsed())
    }

    /// The log of the calling thread.
    fn log(self: &Arc<Self>) -> Arc<Mutex<ThreadLog>> {
        LOGS.with(|logs| {
            let mut logs = logs.borrow_mut();
            let own = |of: &Weak<Self>| std::ptr::eq(of.as_ptr(), Arc::as_ptr(self));
            if let Some((_, log)) = logs.iter().find(|(of, _)| own(of)) {
                return log.clone();
            }
            logs.retain(|(of, _)| of.strong_count() > 0);
            let mut threads = lock(&self.threads);
            let name = std::thread::current().name().map_or_else(|| format!("thread {}", threads.len()), str::to_owned);
            let (tree, kept) = (Node::default(), KeptSpans::with_room(self.room));
            let log = Arc::new(Mutex::new(ThreadLog { name, tree, open: Vec::new(), kept }));
            threads.push(log.clone());
            logs.push((Arc::downgrade(self), log.clone()));
            log
        })
    }
}

impl ThreadLog {
    /// The node `depth` spans below the root.
    fn at(&mut self, depth: usize) -> &mut Node {
        self.open[..depth].iter().fold(&mut self.tree, |node, (child, _)| &mut node.children[*child])
    }

    fn innermost(&mut self) -> Option<&str> {
        let depth = self.open.len();
        (depth > 0).then(|| &*self.at(depth).name)
    }

    /// Begins a span; gives how many were open before.
    fn begin(&mut self, name: &str, shared: &Shared) -> usize {
        let depth = self.open.len();
        let child = self.at(depth).child(name);
        self.open.push((child, shared.now()));
        depth
    }

    /// Ends the innermost span at `now`; gives its length, ns.
    fn end(&mut self, now: u64, items: u64) -> u64 {
        let depth = self.open.len();
        let (_, start) = self.open[depth - 1];
        let took = now.saturating_sub(start);
        let node = self.at(depth);
        node.count(took, items);
        let name = node.name.clone();
        self.kept.push(name, start, took);
        self.open.pop();
        took
    }
}

impl Span {
    fn nothing() -> Self {
        Self { open: None, items: 0, thread: PhantomData }
    }

    /// Says that the span worked through `items` items more; the report tells the nanoseconds for each.
    pub fn items(&mut self, items: u64) {
        self.items += items;
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some((shared, log, before)) = self.open.take() {
            let now = shared.now();
            let mut log = lock(&log);
            // Nothing to do if a span around this one was dropped first, which ended this one as well.
            while log.open.len() > before {
                let own = log.open.len() == before + 1;
                log.end(now, if own { self.items } else { 0 });
            }
        }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if self.on {
            INSTALLED.with(|installed| installed.borrow_mut().pop());
        }
    }
}

impl PartialEq for Profiler {
    /// Whether both measure into the same report.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().map(|shared| shared.id) == other.0.as_ref().map(|shared| shared.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_nest_and_are_summed_by_path() {
        let profiler = Profiler::new();
        for _ in 0..2 {
            let mut outer = profiler.span("outer");
            outer.items(5);
            for _ in 0..3 {
                let _inner = profiler.span("inner");
            }
        }
        profiler.time("inner", || ());
        let report = profiler.report();
        let calls = |path| report.row(path).map(|row| row.calls);
        assert_eq!([calls("outer"), calls("outer/inner"), calls("inner")], [Some(2), Some(6), Some(1)]);
        let outer = report.row("outer").unwrap();
        let inner = report.row("outer/inner").unwrap();
        assert_eq!((outer.items, outer.depth, inner.depth), (10, 0, 1));
        assert!(outer.total_s >= inner.total_s && (outer.self_s - (outer.total_s - inner.total_s)).abs() < 1e-12);
        assert_eq!(report.row("nothing"), None);
    }

    #[test]
    fn threads_are_added_up_and_counted() {
        let profiler = Profiler::with_trace(100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _work = profiler.span("work");
                    profiler.time("part", || ());
                });
            }
        });
        let report = profiler.report();
        assert_eq!((report.row("work").unwrap().calls, report.row("work").unwrap().threads), (4, 4));
        assert_eq!(report.row("work/part").unwrap().calls, 4);
        let trace = profiler.trace();
        assert_eq!(trace.threads.len(), 4);
        assert!(trace.threads.iter().all(|thread| thread.events.len() == 2 && thread.dropped == 0));
    }

    #[test]
    fn stopping_the_wrong_span_is_an_error() {
        let profiler = Profiler::new();
        assert_eq!(profiler.stop("a").unwrap_err().to_string(), "cannot stop `a`: nothing is open on this thread");
        profiler.start("a");
        profiler.start("b");
        let error = profiler.stop("a").unwrap_err().to_string();
        assert_eq!(error, "cannot stop `a`: `b` was started after it and is still open");
        profiler.stop("b").unwrap();
        profiler.stop("a").unwrap();
        assert_eq!(profiler.report().row("a/b").unwrap().calls, 1);
    }

    #[test]
    fn an_outer_span_ends_what_is_open_within_it() {
        let profiler = Profiler::new();
        let outer = profiler.span("outer");
        let inner = profiler.span("inner");
        drop(outer);
        drop(inner);
        let report = profiler.report();
        assert_eq!((report.row("outer").unwrap().calls, report.row("outer/inner").unwrap().calls), (1, 1));
        profiler.time("after", || ());
        assert_eq!(profiler.report().row("after").unwrap().calls, 1);
    }

    #[test]
    fn free_spans_go_to_the_installed_profiler() {
        let profiler = Profiler::new();
        drop(span("before"));
        {
            let _installed = profiler.install();
            drop(span("within"));
            {
                let _hidden = Profiler::off().install();
                drop(span("hidden"));
            }
            drop(span("within"));
        }
        drop(span("after"));
        let report = profiler.report();
        assert_eq!(report.rows.iter().map(|row| (&*row.path, row.calls)).collect::<Vec<_>>(), [("within", 2)]);
    }

    #[test]
    fn a_profiler_that_is_off_measures_nothing() {
        let profiler = Profiler::off();
        profiler.start("a");
        drop(profiler.span("b"));
        assert_eq!(profiler.stop("c"), Ok(Duration::ZERO));
        assert!(!profiler.is_on() && profiler.report().rows.is_empty() && profiler.trace().threads.is_empty());
    }
}
