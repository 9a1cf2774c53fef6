//! Traces: single spans of several threads on one time axis, in the format that Perfetto and Chrome open.

use serde_json::{Map, Value};
use std::io::Write;
use std::sync::Arc;

/// Spans of several threads.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Threads, in the order in which they are shown.
    pub threads: Vec<TraceThread>,
    /// Anything else to tell with it, by name.
    pub notes: Vec<(String, Value)>,
}

/// The spans of one thread.
#[derive(Debug, Clone, Default)]
pub struct TraceThread {
    /// Its name.
    pub name: String,
    /// Its spans.
    pub events: Vec<TraceEvent>,
    /// Spans that there was no room for.
    pub dropped: u64,
    /// Spans shorter than this were dropped, ns; 0 if none was.
    pub shortest_ns: u64,
}

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Its name.
    pub name: Arc<str>,
    /// Its beginning, ns from the beginning of the trace.
    pub start_ns: u64,
    /// Its length, ns.
    pub duration_ns: u64,
    /// The step of the simulation it belongs to, if it belongs to one.
    pub step: Option<u64>,
}

impl Trace {
    /// Number of spans.
    pub fn len(&self) -> usize {
        self.threads.iter().map(|thread| thread.events.len()).sum()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the trace as JSON in the Trace Event Format ("X" events, times in microseconds), which
    /// <https://ui.perfetto.dev> and `chrome://tracing` open. The notes become `otherData`.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn write_chrome(&self, mut out: impl Write) -> std::io::Result<()> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\n\"otherData\":")?;
        let notes: Map<String, Value> = self.notes.iter().cloned().collect();
        serde_json::to_writer(&mut out, &notes)?;
        out.write_all(b",\n\"traceEvents\":[\n")?;
        out.write_all(br#"{"name":"process_name","ph":"M","pid":1,"args":{"name":"tessera"}}"#)?;
        for (number, thread) in self.threads.iter().enumerate() {
            let name = serde_json::to_string(&thread.name)?;
            for (kind, value) in
                [("thread_name", format!("\"name\":{name}")), ("thread_sort_index", format!("\"sort_index\":{number}"))]
            {
                write!(out, ",\n{{\"name\":\"{kind}\",\"ph\":\"M\",\"pid\":1,\"tid\":{number},\"args\":{{{value}}}}}")?;
            }
            // Parents before what lies within them, as viewers expect.
            let mut events: Vec<&TraceEvent> = thread.events.iter().collect();
            events.sort_by_key(|event| (event.start_ns, std::cmp::Reverse(event.duration_ns)));
            for event in events {
                let name = serde_json::to_string(&*event.name)?;
                let (at, took) = (micro(event.start_ns), micro(event.duration_ns));
                write!(out, ",\n{{\"name\":{name},\"ph\":\"X\",\"pid\":1,\"tid\":{number},\"ts\":{at},\"dur\":{took}")?;
                match event.step {
                    Some(step) => write!(out, ",\"args\":{{\"step\":{step}}}}}")?,
                    None => out.write_all(b"}")?,
                }
            }
        }
        out.write_all(b"\n]}\n")?;
        out.flush()
    }
}

/// Nanoseconds as microseconds with three decimals, exactly.
fn micro(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

/// The spans of a thread as they come, in bounded memory.
#[derive(Debug)]
pub(super) struct KeptSpans {
    room: usize,
    spans: Vec<(Arc<str>, u64, u64)>,
    dropped: u64,
    shortest: u64,
}

impl KeptSpans {
    /// Room for `room` spans.
    pub fn with_room(room: usize) -> Self {
        Self { room, spans: Vec::new(), dropped: 0, shortest: 0 }
    }

    /// Keeps a span if it is long enough. Where that fills the room, spans below the middle length leave it, and the
    /// bound rises to that length.
    pub fn push(&mut self, name: Arc<str>, start: u64, took: u64) {
        if self.room == 0 {
            return;
        }
        if took < self.shortest {
            self.dropped += 1;
            return;
        }
        self.spans.push((name, start, took));
        if self.spans.len() >= self.room.max(2) {
            let mut lengths: Vec<u64> = self.spans.iter().map(|span| span.2).collect();
            let (_, middle, _) = lengths.select_nth_unstable(self.room.max(2) / 2);
            self.shortest = *middle + 1;
            let before = self.spans.len();
            self.spans.retain(|span| span.2 >= self.shortest);
            self.dropped += (before - self.spans.len()) as u64;
        }
    }

    /// The spans, how many were dropped, and the shortest length that is kept.
    pub fn events(&self) -> (Vec<TraceEvent>, u64, u64) {
        let event = |(name, start, took): &(Arc<str>, u64, u64)| TraceEvent {
            name: name.clone(),
            start_ns: *start,
            duration_ns: *took,
            step: None,
        };
        (self.spans.iter().map(event).collect(), self.dropped, self.shortest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_spans_outlive_short_ones_in_bounded_room() {
        let mut kept = KeptSpans::with_room(64);
        for i in 0..100_000u64 {
            kept.push("short".into(), i, 100 + i % 50);
            if i % 5_000 == 0 {
                kept.push("long".into(), i, 1_000_000 + i);
            }
            assert!(kept.spans.len() < 64 && kept.spans.capacity() <= 128);
        }
        let (events, dropped, shortest) = kept.events();
        assert_eq!(events.len() as u64 + dropped, 100_020);
        assert!(shortest > 100 && events.iter().filter(|event| &*event.name == "long").count() == 20, "{shortest}");
    }

    #[test]
    fn the_file_is_json_that_viewers_know() {
        let event = |start_ns, duration_ns| TraceEvent { name: "a \"b\"".into(), start_ns, duration_ns, step: Some(7) };
        let thread = TraceThread {
            name: "worker 0".into(),
            events: vec![event(2_500, 1), event(0, 3_001)],
            dropped: 0,
            shortest_ns: 0,
        };
        let trace = Trace { threads: vec![thread], notes: vec![("every".into(), 4.into())] };
        let mut text = Vec::new();
        trace.write_chrome(&mut text).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["otherData"]["every"], 4);
        let events = json["traceEvents"].as_array().unwrap();
        let spans: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!((spans.len(), &spans[0]["ts"], &spans[0]["dur"]), (2, &0.0.into(), &3.001.into()));
        assert_eq!(
            (&spans[1]["ts"], &spans[1]["args"]["step"], &spans[1]["name"]),
            (&2.5.into(), &7.into(), &"a \"b\"".into())
        );
        assert!(events.iter().any(|event| event["name"] == "thread_name" && event["args"]["name"] == "worker 0"));
    }
}
