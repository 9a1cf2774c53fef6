//! The page of a report: one HTML file that needs nothing from elsewhere.

use super::compare::{Change, Comparison, Verdict};
use super::measurements::{Item, Measurements};
use crate::metrics::seconds;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child,td.left{text-align:left}.slower{color:#b00;font-weight:600}.faster{color:#070;font-weight:600}\
svg{max-width:100%;height:auto}.soft{color:#666}";

/// Text with the characters that mean something in HTML written out.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page; `pictures` are names and SVG documents, `json` is the report as data.
pub(super) fn html(
    measurements: &Measurements,
    comparison: Option<&Comparison>,
    pictures: &[(&str, String)],
    json: &str,
) -> String {
    let title = format!("tessera bench {}", measurements.kind.name());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         </head><body>\n<h1>{title}</h1>\n<p>{}<br><span class=\"soft\">tessera {}; {}, {} cores, {}; {}</span></p>\n",
        escaped(&measurements.made),
        escaped(&measurements.tessera),
        escaped(&measurements.machine.cpu),
        measurements.machine.cores,
        escaped(&measurements.isa),
        escaped(&measurements.machine.os),
    );
    let add = |page: &mut String, text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("text grows");
    if let Some(comparison) = comparison {
        let [slower, faster, same] = [Verdict::Slower, Verdict::Faster, Verdict::Same].map(|v| comparison.count(v));
        add(
            &mut page,
            format_args!(
                "<p>Against baseline <b>{}</b> of {}: {slower} slower, {faster} faster, {same} within noise.</p>\n",
                escaped(&comparison.baseline),
                escaped(&comparison.made)
            ),
        );
        if let Some(differs) = &comparison.machine_differs {
            add(&mut page, format_args!("<p class=\"slower\">Another machine: {}.</p>\n", escaped(differs)));
        }
    }
    page += "<table><tr><th>item</th><th>median</th><th>spread</th><th>samples</th>";
    page += if comparison.is_some() { "<th>before</th><th>change</th><th>noise</th><th></th>" } else { "" };
    page += "<th></th></tr>\n";
    for item in &measurements.items {
        row(&mut page, item, comparison.map(|c| c.change(&item.name)));
    }
    page += "</table>\n";
    if let Some(comparison) = comparison {
        for change in comparison.changes.iter().filter(|change| change.verdict == Verdict::Gone) {
            add(&mut page, format_args!("<p class=\"soft\">{} is in the baseline only.</p>\n", escaped(&change.name)));
        }
        page += "<p class=\"soft\">An item changed if the ratio of the medians (or its inverse) exceeds 1 by more than the \
                 larger of 3&nbsp;% and three standard deviations of the ratio of two single samples.</p>\n";
    }
    for (_, svg) in pictures {
        // A document within a page has no declaration of its own.
        let from = svg.find("<svg").unwrap_or(0);
        add(&mut page, format_args!("<figure>{}</figure>\n", &svg[from..]));
    }
    // So that nothing in it can end the script or begin a comment.
    let data = json.replace('<', "\\u003c");
    add(&mut page, format_args!("<script type=\"application/json\" id=\"report\">\n{data}</script>\n</body></html>\n"));
    page
}

fn row(page: &mut String, item: &Item, change: Option<Option<&Change>>) {
    let facts: Vec<String> = item.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    *page += &format!(
        "<tr><td>{}</td><td>{}</td><td>{:.1}&nbsp;%</td><td>{}</td>",
        escaped(&item.name),
        seconds(item.median_s()),
        item.spread() * 100.0,
        item.samples_s.len()
    );
    if let Some(change) = change {
        let before = change.and_then(|c| c.before_s).map_or_else(|| "new".to_owned(), seconds);
        let percent =
            change.and_then(|c| c.ratio).map_or(String::new(), |r| format!("{:+.1}&nbsp;%", (r - 1.0) * 100.0));
        let bound = change.map_or(0.0, |c| c.bound * 100.0);
        let verdict = match change.map(|c| c.verdict) {
            Some(Verdict::Slower) => "<td class=\"slower\">slower</td>",
            Some(Verdict::Faster) => "<td class=\"faster\">faster</td>",
            _ => "<td></td>",
        };
        *page += &format!("<td>{before}</td><td>{percent}</td><td>{bound:.1}&nbsp;%</td>{verdict}");
    }
    *page += &format!("<td class=\"left soft\">{}</td></tr>\n", escaped(&facts.join(", ")));
}
