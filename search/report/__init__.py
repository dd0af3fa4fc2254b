"""One page that a study is reviewed on: History -> Info -> figure -> HTML."""
