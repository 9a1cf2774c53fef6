//! Where records end, as a recorder says it at a checkpoint and is told it when the run goes on.

use super::Named;
use super::population_filter::Chosen;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A place of a recorder: its name, so that the place of another is not taken for its own, and what it kept.
#[derive(Debug, Serialize, Deserialize)]
struct Place<T> {
    recorder: String,
    at: T,
}

/// Puts a place into the form a checkpoint keeps.
pub(super) fn to_json<T: Serialize>(recorder: &str, at: T) -> Result<serde_json::Value> {
    serde_json::to_value(Place { recorder: recorder.to_owned(), at })
        .map_err(|e| Error::Usage(format!("{recorder} cannot say where its records end: {e}")))
}

/// The place a checkpoint has for `recorder`, whose records are in `path`.
pub(super) fn from_json<T: DeserializeOwned>(recorder: &str, path: &Path, place: &serde_json::Value) -> Result<T> {
    let wrong = |why: String| {
        let file = path.display();
        Err(Error::Usage(format!("the checkpoint does not say where the records in {file} end: {why}")))
    };
    match Place::<T>::deserialize(place) {
        Ok(place) if place.recorder == recorder => Ok(place.at),
        Ok(other) => wrong(format!("`{}` stands where `{recorder}` is expected", other.recorder)),
        Err(_) if place.is_null() => wrong("nothing was recorded there then".to_owned()),
        Err(e) => wrong(e.to_string()),
    }
}

/// Refuses a checkpoint of other populations than those the run records, or in another order.
pub(super) fn check_populations<S: AsRef<str>>(path: &Path, chosen: &Chosen, then: &[S]) -> Result<()> {
    let now: Vec<&str> = chosen.slots().iter().map(|s| s.name.as_str()).collect();
    check_names(path, &now, then)
}

/// Refuses a checkpoint of other names than those the run records, or in another order.
fn check_names<S: AsRef<str>>(path: &Path, now: &[&str], then: &[S]) -> Result<()> {
    if then.iter().map(AsRef::as_ref).eq(now.iter().copied()) {
        return Ok(());
    }
    let then = then.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    let now = now.join(", ");
    Err(Error::format(path, format!("it has the populations {then} by the checkpoint; the run records {now}")))
}

/// Numbers of the kept populations, if the checkpoint has them for the same populations in the same order.
pub(super) fn of_populations(path: &Path, chosen: &Chosen, numbers: &Named<u64>) -> Result<Vec<u64>> {
    let now: Vec<&str> = chosen.slots().iter().map(|s| s.name.as_str()).collect();
    of_names(path, &now, numbers)
}

/// Numbers of these names, if the checkpoint has them for the same names in the same order.
pub(super) fn of_names(path: &Path, now: &[&str], numbers: &Named<u64>) -> Result<Vec<u64>> {
    let (names, numbers): (Vec<&str>, Vec<u64>) = numbers.0.iter().map(|(name, n)| (name.as_str(), *n)).unzip();
    check_names(path, now, &names)?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_belong_to_their_recorder() {
        let place = to_json("A", Named(vec![("exc".to_owned(), 3_u64)])).unwrap();
        let back: Named<u64> = from_json("A", Path::new("a.h5"), &place).unwrap();
        assert_eq!(back.0, [("exc".to_owned(), 3)]);
        let error = from_json::<Named<u64>>("B", Path::new("a.h5"), &place).unwrap_err().to_string();
        assert!(error.contains("`A` stands where `B`") && error.contains("a.h5"), "{error}");
        let error = from_json::<Named<u64>>("A", Path::new("a.h5"), &serde_json::Value::Null).unwrap_err();
        assert!(error.to_string().contains("nothing was recorded"), "{error}");
        for bad in ["3", "{\"recorder\":\"A\",\"at\":[1]}", "{\"recorder\":\"A\",\"at\":{\"exc\":-1}}"] {
            let place = serde_json::from_str(bad).unwrap();
            assert!(from_json::<Named<u64>>("A", Path::new("a.h5"), &place).is_err(), "{bad}");
        }
    }
}
