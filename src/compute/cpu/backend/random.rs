//! Random masks.

use crate::compute::cpu::Cpu;
use crate::compute::dtype::Element;
use crate::rng::Key;

/// Element i is dropped where word `i % 4` of counter `i / 4` lies below `rate` 2³².
pub(super) fn dropout<T: Element>(_: &Cpu, x: &[T], rate: f64, key: Key, out: &mut [T]) {
    let bound = (rate * 4_294_967_296.0) as u64;
    let scale = 1.0 / (1.0 - rate);
    for (block, (x, out)) in x.chunks(4).zip(out.chunks_mut(4)).enumerate() {
        let words = key.words([block as u32, (block as u64 >> 32) as u32, 0, 0]);
        for ((x, out), word) in x.iter().zip(out).zip(words) {
            *out = if u64::from(word) < bound { T::default() } else { T::of_f64(x.to_f64() * scale) };
        }
    }
}
