//! Every screen by keyboard alone, and at twice the size: nothing is out of reach, hidden or cut off.

use serde_json::Value;

use super::{DESK, config, sold};
use crate::browser::Browser;
use crate::support::{Site, sell, until};

/// What may be focused and is to be seen.
const ALL: &str = "[...document.querySelectorAll('a[href],button,select,input,summary,[tabindex]')] \
    .filter(e => e.tabIndex >= 0 && e.checkVisibility() && !e.disabled).length";
/// What has the focus: whether it was there before, its mark, its place and size.
const FOCUSED: &str = "(() => { const e = document.activeElement; \
    if (!e || e === document.body || e.dataset.walked) return null; \
    e.dataset.walked = '1'; \
    const [s, r] = [getComputedStyle(e), e.getBoundingClientRect()]; \
    const marked = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'; \
    return { what: e.tagName + ' ' + (e.ariaLabel || e.textContent).trim().slice(0, 30), marked, \
        top: Math.round(r.top + scrollY), height: Math.round(r.height) }; })()";
/// Texts of the screen of which a part cannot be seen.
const CUT: &str = "[...document.querySelectorAll('main *')].filter(e => { const s = getComputedStyle(e); \
    return !e.children.length && e.textContent.trim() && e.scrollWidth > e.clientWidth + 2 \
        && s.overflowX !== 'visible' && s.display !== 'inline' && !e.closest('.vh'); }) \
    .map(e => e.textContent.slice(0, 30))";

#[test]
#[ignore = "needs: chromium"]
fn every_screen_is_walked_by_keyboard_and_fits_at_twice_the_size() {
    let site = Site::new("walk");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.started("edge", &config(&site));
    let events: Vec<Value> = (0..20).flat_map(|n| sold(n, 1_000, 20_000)).collect();
    sell(&site.edge, &events);
    site.drained(super::POPUP, 20);
    let mut page = Browser::open("walk");
    for (address, screen) in [
        (&site.edge, ""),
        (&site.edge, "#/preflight"),
        (&site.region, ""),
        (&site.region, "#/creator"),
        (&site.region, "#/coop"),
        (&site.region, "#/board"),
    ] {
        page.window(DESK, false, "light");
        page.go("about:blank");
        page.go(&format!("http://{address}/{screen}"));
        until("the screen has its figures", || {
            let shown = "document.querySelectorAll('.big, .ranks, [data-testid=verdict]').length";
            (page.evaluate(shown) != 0).then_some(())
        });
        walk(&mut page, screen);
        // 1280 × 800 at 200 %, and the narrowest phone.
        for size in [(640, 400), (320, 640)] {
            page.window(size, false, "light");
            until(&format!("{screen} fits into {size:?}"), || {
                let wide = page.evaluate("document.documentElement.scrollWidth - innerWidth");
                (wide.as_i64()? <= 0).then_some(())
            });
            let cut = page.evaluate(CUT);
            assert_eq!(cut, Value::Array(Vec::new()), "{screen} at {size:?}");
        }
    }
}

/// Tab after Tab from the top: each thing once, marked, in the order of the page, large enough for a thumb.
#[track_caller]
fn walk(page: &mut Browser, screen: &str) {
    let all = page.evaluate(ALL).as_u64().unwrap();
    let (mut reached, mut above) = (0, 0);
    loop {
        page.press("Tab");
        let at = page.evaluate(FOCUSED);
        if at.is_null() {
            break;
        }
        reached += 1;
        assert_eq!(at["marked"], true, "{screen}: {at}");
        let top = at["top"].as_i64().unwrap();
        assert!(
            top + 40 >= above,
            "{screen}: {at} stands above what came before"
        );
        assert!(
            at["height"].as_i64().unwrap() >= 44,
            "{screen}: {at} is too small for a thumb"
        );
        if at["what"].as_str().unwrap().contains("Revenue per minute") {
            page.press("ArrowLeft");
            until("the chart reads out a minute", || {
                (page.evaluate("!!document.querySelector('.readout b')") == true).then_some(())
            });
        }
        above = top;
    }
    assert_eq!(reached, all, "{screen}: all that can be used is reached");
}
