use super::*;
use std::array::from_fn;

/// What each operation gives for the lanes of two arrays, as numbers.
struct Operations<'a, T>(&'a [T; 16], &'a [T; 16], &'a mut Vec<(&'static str, Vec<T>)>);

impl<T: Float> Kernel<T> for Operations<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self(a, b, out) = self;
        let mut results: [(&'static str, Vec<T>); 19] = from_fn(|_| ("", Vec::new()));
        for at in (0..16).step_by(V::LANES) {
            // SAFETY: 16 is a multiple of the lanes.
            let (x, y) = unsafe { (V::load(a.as_ptr().add(at)), V::load(b.as_ptr().add(at))) };
            let all = [
                ("add", x + y),
                ("sub", x - y),
                ("mul", x * y),
                ("div", x / y),
                ("neg", -x),
                ("min", x.min(y)),
                ("max", x.max(y)),
                ("abs", x.abs()),
                ("sqrt", x.abs().sqrt()),
                ("round", x.round()),
                ("lt", V::select(x.lt(y), x, y)),
                ("le", V::select(x.le(y), x, y)),
                ("eq", V::select(V::or(x.eq(y), y.eq(V::one())), x, y)),
                ("nan", V::select(V::and(V::not(x.is_nan()), x.gt(y)), x, y)),
                ("ge", V::select(V::mask_of(V::bits(x.ge(y))), x, y)),
                ("scale", V::of(1.25).scale(x.round())),
                ("mantissa", x.abs().max(V::of(1e-30)).split().0),
                ("exponent", x.abs().max(V::of(1e-30)).split().1),
                ("xor", x.bit_xor(y).bit_xor(y)),
            ];
            for (result, (name, value)) in results.iter_mut().zip(all) {
                result.0 = name;
                let mut lanes = [T::ZERO; 16];
                // SAFETY: room for 16 lanes.
                unsafe { value.store(lanes.as_mut_ptr()) };
                result.1.extend(&lanes[..V::LANES]);
            }
        }
        out.extend(results);
    }
}

fn expected<T: Float>(name: &str, x: T, y: T) -> T {
    let pick = |truth: bool| if truth { x } else { y };
    let (xd, yd) = (x.to_f64(), y.to_f64());
    match name {
        "add" => x + y,
        "sub" => x - y,
        "mul" => x * y,
        "div" => x / y,
        "neg" => -x,
        "min" | "lt" => pick(x < y),
        "max" => pick(x > y),
        "abs" => T::of(xd.abs()),
        "sqrt" => T::of(xd.abs().sqrt()),
        "round" => T::of(xd.round_ties_even()),
        "le" => pick(x <= y),
        "eq" => pick(x == y || yd == 1.0),
        "nan" => pick(!xd.is_nan() && x > y),
        "ge" => pick(x >= y),
        "scale" => T::of(1.25 * xd.round_ties_even().exp2()),
        "mantissa" | "exponent" => {
            let x = if T::of(xd.abs()) > T::of(1e-30) { xd.abs() } else { T::of(1e-30).to_f64() };
            let e = (x / 0.75).log2().floor();
            T::of(if name == "exponent" { e } else { x / e.exp2() })
        }
        "xor" => x,
        _ => unreachable!(),
    }
}

fn operations_on_every_set<T: Float>() {
    let a: [f64; 16] =
        [0.0, -0.0, 1.0, -2.5, 3.5, 0.3, -126.0, 100.7, -140.0, 2.0, 1.5, 0.75, 127.0, 1e-3, -7.5, f64::NAN];
    let b: [f64; 16] =
        [1.0, 0.0, f64::NAN, 2.0, 3.5, -0.1, 1e-20, f64::INFINITY, -140.0, 4.0, 1.0, 0.5, 2.5, -7.0, 1e10, 3.0];
    let (a, b) = (a.map(T::of), b.map(T::of));
    for isa in Isa::all_available() {
        let mut results = Vec::new();
        dispatch(isa, Operations(&a, &b, &mut results));
        for (name, got) in results {
            for i in 0..16 {
                if a[i].to_f64().is_nan() && ["round", "scale", "mantissa", "exponent"].contains(&name) {
                    continue;
                }
                let want = expected(name, a[i], b[i]);
                let same = got[i] == want || (got[i].to_f64().is_nan() && want.to_f64().is_nan());
                assert!(same, "{name}({:?}, {:?}) = {:?}, not {want:?}, on {isa}", a[i], b[i], got[i]);
            }
        }
    }
}

#[test]
fn operations_equal_scalar_ones_on_every_set() {
    operations_on_every_set::<f32>();
    operations_on_every_set::<f64>();
}

struct Partial<T>(Vec<T>);
impl<T: Float> Kernel<T> for Partial<T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let from = &self.0;
        for n in 0..=V::LANES {
            // Exactly `n` elements: a reader or writer beyond them would be seen by Miri or a guard page.
            let source: Vec<T> = from[..n].to_vec();
            let mut target = vec![T::of(-1.0); 18];
            // SAFETY: `n` elements at both.
            unsafe { V::load_first(source.as_ptr(), n).store_first(target.as_mut_ptr().add(1), n) };
            for (i, x) in target.iter().enumerate() {
                assert_eq!(*x, if (1..=n).contains(&i) { from[i - 1] } else { T::of(-1.0) });
            }
            // SAFETY: as above.
            let sum = unsafe { V::load_first(source.as_ptr(), n) };
            assert_eq!(sum.sum(), from[..n].iter().fold(T::ZERO, |s, x| s + *x));
            assert_eq!(sum.largest(), from[..n].iter().fold(T::ZERO, |m, x| if *x > m { *x } else { m }));
            assert_eq!((-sum).smallest(), -sum.largest());
        }
    }
}

#[test]
fn partial_loads_and_stores_touch_no_more() {
    for isa in Isa::all_available() {
        dispatch(isa, Partial((0..16).map(|i| (i * 5 % 11) as f32).collect()));
        dispatch(isa, Partial((0..16).map(|i| f64::from(i * 5 % 11)).collect()));
    }
}
