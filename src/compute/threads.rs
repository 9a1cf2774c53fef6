//! A crew of pinned, persistent worker threads and the barrier they meet at.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// A barrier that spins briefly and then parks.
///
/// With a processor to each thread the spin ends within tens of nanoseconds; with more threads than processors
/// a spinning thread would keep the one it waits for from running, so it parks at once.
#[derive(Debug)]
pub struct Barrier {
    parties: usize,
    spins: u32,
    arrived: crossbeam_utils::CachePadded<AtomicUsize>,
    generation: crossbeam_utils::CachePadded<AtomicU32>,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    /// A barrier for `parties` threads.
    pub fn new(parties: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            parties,
            spins: if parties <= processors { 20_000 } else { 0 },
            arrived: AtomicUsize::new(0).into(),
            generation: AtomicU32::new(0).into(),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Waits until all parties have arrived. What each wrote before is visible to all after.
    #[inline]
    pub fn wait(&self) {
        if self.parties == 1 {
            return;
        }
        let generation = self.generation.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parties {
            self.arrived.store(0, Ordering::Relaxed);
            // Sequentially consistent against `sleepers`: either this sees the sleeper, or the sleeper, which
            // announces itself first, sees the new generation.
            self.generation.store(generation.wrapping_add(1), Ordering::SeqCst);
            if self.sleepers.load(Ordering::SeqCst) > 0 {
                drop(self.lock.lock());
                self.wake.notify_all();
            }
            return;
        }
        for _ in 0..self.spins {
            if self.generation.load(Ordering::Acquire) != generation {
                return;
            }
            std::hint::spin_loop();
        }
        self.park(generation);
    }

    #[cold]
    fn park(&self, generation: u32) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        while self.generation.load(Ordering::SeqCst) == generation {
            guard = self.wake.wait(guard).unwrap_or_else(|e| e.into_inner());
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

type Task = *const (dyn Fn(usize) + Sync);

thread_local! {
    /// Whether this thread is doing a part of a crew's task.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

struct Shared {
    /// The round the workers are in; a new number starts the next one.
    round: crossbeam_utils::CachePadded<AtomicU32>,
    /// Workers that have not finished the round.
    unfinished: crossbeam_utils::CachePadded<AtomicUsize>,
    /// The task of the round. Written by the caller before `round` changes, read by workers after.
    task: UnsafeCell<Option<TaskPtr>>,
    spins: u32,
    /// Threads parked on `wake`, workers and caller together.
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
    panicked: AtomicBool,
}

// SAFETY: `task` is the only part that is not `Sync`. The caller writes it while no round is under way (it holds
// `Crew::turn` and `unfinished` is zero); workers read it between the release of the new round and their own decrement
// of `unfinished`.
unsafe impl Sync for Shared {}

impl Shared {
    /// Spins, then parks, until `ready`.
    fn wait_until(&self, ready: impl Fn(&Self) -> bool) {
        for _ in 0..self.spins {
            if ready(self) {
                return;
            }
            std::hint::spin_loop();
        }
        // Sequentially consistent against the store that makes it ready: either the waker sees this sleeper, or the
        // sleeper, which announces itself first, sees what the waker stored.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        while !ready(self) {
            guard = self.wake.wait(guard).unwrap_or_else(|e| e.into_inner());
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock());
            self.wake.notify_all();
        }
    }

    fn start_round(&self) {
        self.round.fetch_add(1, Ordering::SeqCst);
        self.wake_sleepers();
    }
}

#[derive(Clone, Copy)]
struct TaskPtr(Task);
// SAFETY: the task is `Sync` and outlives the round in which the pointer is used (see `Crew::run`).
unsafe impl Send for TaskPtr {}

/// A fixed crew of persistent workers. The calling thread is the first of them; the others are threads of their own,
/// each pinned to a processor where the system allows it, that spin for a while for the next task and then sleep.
///
/// Handing a task to the crew and meeting again at its end takes a fraction of a microsecond while the workers spin.
pub struct Crew {
    size: usize,
    shared: Arc<Shared>,
    /// Held while a task runs: callers on several threads take turns.
    turn: Mutex<Places>,
    handles: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew({})", self.size)
    }
}

impl Crew {
    /// A crew of `size` workers (at least one), the caller included.
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            round: AtomicU32::new(0).into(),
            unfinished: AtomicUsize::new(0).into(),
            task: UnsafeCell::new(None),
            // With a processor to each worker the wait is short; with more workers than processors a spinning thread
            // would keep the one it waits for from running.
            spins: if size <= processors { 20_000 } else { 0 },
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let handles: Vec<_> = (1..size)
            .map(|index| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("tessera-{index}"))
                    .spawn(move || worker(index, &shared))
                    .expect("the system can start a thread")
            })
            .collect();
        let turn = Mutex::new(Places::bind(&handles));
        Self { size, shared, turn, handles }
    }

    /// Number of workers, the caller included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Runs `task(worker index)` for every worker, 0 on the calling thread, and returns when all have finished.
    ///
    /// Called from within a task of a crew, the parts are done one after the other on the calling thread; such a task
    /// must not have its workers wait for one another.
    ///
    /// # Panics
    /// If the task panicked on any worker. A task that synchronises its workers must not panic between barriers.
    #[inline]
    pub fn run(&self, task: &(dyn Fn(usize) + Sync)) {
        if self.size == 1 {
            return task(0);
        }
        if AT_WORK.get() {
            return (0..self.size).for_each(task);
        }
        self.run_together(task);
    }

    fn run_together(&self, task: &(dyn Fn(usize) + Sync)) {
        let mut turn = self.turn.lock().unwrap_or_else(|e| e.into_inner());
        turn.make_way(&self.handles);
        let shared = &*self.shared;
        // SAFETY: only the lifetime is changed; workers use the pointer only until they have counted themselves off,
        // which is waited for below.
        let pointer: Task = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Task>(task) };
        // SAFETY: no round is under way, so no worker reads the cell.
        unsafe { *shared.task.get() = Some(TaskPtr(pointer)) };
        shared.unfinished.store(self.size - 1, Ordering::Relaxed);
        shared.start_round();
        AT_WORK.set(true);
        let own = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task(0)));
        AT_WORK.set(false);
        shared.wait_until(|shared| shared.unfinished.load(Ordering::SeqCst) == 0);
        let others_panicked = shared.panicked.swap(false, Ordering::SeqCst);
        drop(turn);
        if let Err(panic) = own {
            std::panic::resume_unwind(panic);
        }
        assert!(!others_panicked, "a worker thread panicked");
    }

    /// Runs `job(index)` for every index below `count`. Each worker begins with a range of its own, which is the same
    /// whenever counts are: what one call wrote to a worker's cache, the next finds there. Who has done with his range
    /// helps the others with theirs.
    pub fn for_each(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        if self.size == 1 || count <= 1 || AT_WORK.get() {
            return (0..count).for_each(job);
        }
        let begin = |worker: usize| count * worker / self.size;
        let next: Vec<crossbeam_utils::CachePadded<AtomicUsize>> =
            (0..self.size).map(|worker| AtomicUsize::new(begin(worker)).into()).collect();
        self.run(&|worker| {
            for owner in (worker..self.size).chain(0..worker) {
                let end = begin(owner + 1);
                loop {
                    let index = next[owner].fetch_add(1, Ordering::Relaxed);
                    if index >= end {
                        break;
                    }
                    job(index);
                }
            }
        });
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.shared.stop.store(true, Ordering::SeqCst);
            self.shared.start_round();
            for handle in self.handles.drain(..) {
                let _ = handle.join();
            }
        }
    }
}

fn worker(index: usize, shared: &Shared) {
    AT_WORK.set(true);
    let mut round = 0;
    loop {
        shared.wait_until(|shared| shared.round.load(Ordering::SeqCst) != round);
        round = round.wrapping_add(1);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: the round has started, so the caller has written the task and does not touch it before this worker
        // has counted itself off.
        if let Some(TaskPtr(task)) = unsafe { *shared.task.get() } {
            // SAFETY: `Crew::run_together` keeps the task alive until every worker has counted itself off.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { (*task)(index) }));
            if outcome.is_err() {
                shared.panicked.store(true, Ordering::SeqCst);
            }
        }
        if shared.unfinished.fetch_sub(1, Ordering::SeqCst) == 1 {
            shared.wake_sleepers();
        }
    }
}

/// Which processor each worker is bound to. The caller takes part unbound, since its thread is not the crew's to bind.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Places {
    /// Of workers 1, 2, ..; empty where processors are unknown or fewer than workers: those are left to the system.
    taken: Vec<usize>,
    /// Processors this process may run on that no worker is bound to; the caller was on the last when the crew was made.
    free: Vec<usize>,
}

#[cfg(target_os = "linux")]
impl Places {
    /// Binds each worker to a processor of its own, none to the caller's.
    fn bind(workers: &[JoinHandle<()>]) -> Self {
        let mut places = Self { taken: Vec::new(), free: Vec::new() };
        // SAFETY: the set is a plain bit mask of the size passed along.
        let free: Vec<usize> = unsafe {
            let mut allowed: libc::cpu_set_t = std::mem::zeroed();
            if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) != 0 {
                return places;
            }
            (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &allowed)).collect()
        };
        if workers.is_empty() || workers.len() >= free.len() {
            return places;
        }
        places.free = free;
        if let Some(at) = caller().and_then(|own| places.free.iter().position(|cpu| *cpu == own)) {
            // Dealt from the front, so that the caller's stays free.
            let own = places.free.remove(at);
            places.free.push(own);
        }
        places.taken = places.free.drain(..workers.len()).collect();
        for (worker, cpu) in workers.iter().zip(&places.taken) {
            bind(worker, *cpu);
        }
        places
    }

    /// Where the system has moved the caller to the processor of a worker, that worker goes to a free one: bound, it
    /// would wait until the caller has done its part and is moved away.
    fn make_way(&mut self, workers: &[JoinHandle<()>]) {
        if self.taken.is_empty() {
            return;
        }
        let Some(own) = caller() else { return };
        if let (Some(worker), Some(free)) = (self.taken.iter().position(|cpu| *cpu == own), self.free.last_mut()) {
            bind(&workers[worker], *free);
            self.taken[worker] = std::mem::replace(free, own);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Places {
    fn bind(_: &[JoinHandle<()>]) -> Self {
        Self { taken: Vec::new(), free: Vec::new() }
    }

    fn make_way(&mut self, _: &[JoinHandle<()>]) {}
}

/// The processor this thread is on.
#[cfg(target_os = "linux")]
fn caller() -> Option<usize> {
    // SAFETY: no arguments, no memory.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Binds a thread to a processor, where the system lets it.
#[cfg(target_os = "linux")]
fn bind(thread: &JoinHandle<()>, processor: usize) {
    use std::os::unix::thread::JoinHandleExt as _;
    // SAFETY: the set is a plain bit mask of the size passed along, and the thread has not been joined: its handle lives.
    unsafe {
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut one);
        libc::pthread_setaffinity_np(thread.as_pthread_t() as _, size_of::<libc::cpu_set_t>(), &one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_worker_runs_and_barriers_order_their_writes() {
        for size in [1, 2, 3, 8] {
            let crew = Crew::new(size);
            let barrier = Barrier::new(size);
            let sum = AtomicU64::new(0);
            for _ in 0..50 {
                crew.run(&|_| {
                    for round in 1..=20u64 {
                        sum.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(
                            sum.load(Ordering::Relaxed) % (20 * size as u64),
                            (round * size as u64) % (20 * size as u64)
                        );
                        barrier.wait();
                    }
                });
            }
            assert_eq!(sum.load(Ordering::Relaxed), 50 * 20 * size as u64);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_crew_works_on() {
        let crew = Crew::new(3);
        for culprit in 0..3 {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                crew.run(&|worker| assert_ne!(worker, culprit, "planned"));
            }));
            assert!(outcome.is_err());
        }
        let sum = AtomicUsize::new(0);
        crew.run(&|worker| {
            sum.fetch_add(worker + 1, Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn tasks_within_tasks_and_callers_on_many_threads() {
        let crew = Crew::new(2);
        let hits = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        crew.run(&|_| {
                            crew.run(&|_| {
                                hits.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(hits.load(Ordering::Relaxed), 3 * 100 * 4);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_worker_makes_way_for_the_caller() {
        let crew = Crew::new(2);
        let mut places = crew.turn.lock().unwrap();
        let (Some(bound), Some(free)) = (places.taken.first().copied(), places.free.last().copied()) else {
            println!("skipped: one processor");
            return;
        };
        let own = std::thread::scope(|scope| {
            let places = &mut *places;
            let handles = &crew.handles;
            scope
                .spawn(move || {
                    // SAFETY: as in `bind`, for this thread.
                    unsafe {
                        let mut one: libc::cpu_set_t = std::mem::zeroed();
                        libc::CPU_SET(bound, &mut one);
                        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
                    }
                    places.make_way(handles);
                    caller()
                })
                .join()
                .unwrap()
        });
        assert_eq!(own, Some(bound));
        assert_eq!(places.taken, [free]);
        assert!(places.free.contains(&bound));
    }

    #[test]
    fn for_each_covers_all_indices_once() {
        let crew = Crew::new(3);
        for count in [0, 1, 2, 3, 4, 100] {
            let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            crew.for_each(count, &|i| {
                hits[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
        }
    }
}
