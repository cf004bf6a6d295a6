//! A region on site feeds one in town: the town sees what the stall sells, through the hub alone.

use crate::support::{Site, cells, free_port, sale, sell, try_get, until};

const POPUP: &str = "market";

#[test]
fn a_region_above_shows_what_the_hub_holds_and_both_may_forget() {
    let site = Site::new("hub");
    let town = format!("127.0.0.1:{}", free_port());
    // They feed each other: what comes back is no news.
    let hub_config = format!(
        "[region]\nlisten = \"{}\"\nupstream = [\"http://{town}\"]\n",
        site.region
    );
    let town_config = format!(
        "[region]\nlisten = \"{town}\"\nupstream = [\"http://{}\"]\n",
        site.region
    );
    let start = |config: &str| {
        let mut process = crate::support::Process::run(&site.folder, "region", config);
        process.address("region");
        process
    };
    let mut hub = start(&hub_config);
    let mut above = start(&town_config);
    let _edge = site.start_edge();
    sell(&site.edge, &[sale(POPUP, "a", "1", 500)]);
    let level = |what: &str| {
        until(what, || {
            let here = cells(&site.edge, POPUP)?;
            (Some(&here) == cells(&town, POPUP).as_ref()
                && Some(&here) == cells(&site.region, POPUP).as_ref())
            .then_some(())
        });
    };
    level("the town has the sale");
    until("the town shows its till", || {
        let rigs = try_get(&town, &format!("/v1/popups/{POPUP}/rigs"))?;
        (rigs["rigs"][0]["rig"] == "till-1").then_some(())
    });

    above.kill();
    sell(&site.edge, &[sale(POPUP, "a", "2", 300)]);
    let mut above = start(&town_config);
    level("the town comes back with nothing and is told all");
    hub.kill();
    let _hub = start(&hub_config);
    sell(&site.edge, &[sale(POPUP, "a", "3", 200)]);
    level("the hub comes back with nothing");
    above.kill();
}
