/** What `parallax audit outputs --help` says. Apart from the command, so that help needs no judge. */
export const OUTPUTS_USAGE = `Usage: parallax audit outputs [options]

Draws a random sample of served answers, reads them as an auditor (the reading is on record), and scores them for stance, hostility, stereotypes,
toxicity and known false claims, for each perspective. Drift is counted against the release's report. The page and the JSON hold numbers and record ids, and no word of anybody's.

  --last <time>              answers of this time until now, such as 24h (default) or 30d
  --from, --to <time>        instead: ISO 8601, from inclusive, to exclusive
  --size <n>                 at most so many answers of each voice; 200
  --seed <words>             draws the same sample again; by default drawn anew, and told
  --base-url <address>       of the gateway; http://127.0.0.1:3000
  --key-file <file>          an auditor's key; or PARALLAX_AUDITOR_KEY, or the one of keys.json in the data directory
  --report <file>            instead of the one that the perspectives in force name
  --rules <file>             instead of release/outputs.json: tolerances and ceilings, each with its reason
  --out <folder>             where findings.json and findings.md go; they are printed otherwise
  --alert-file <file>        a line of JSON is appended where something is beyond what is tolerated
  --webhook <address>        is told the same by POST
  --every <time>             again and again, each time about what was served since; ends with the process
  --json                     print the findings in JSON
  --data-dir <directory>     instead of DATA_DIR

Exit codes: 0 nothing was found beyond what is tolerated (where too few answers were read to say so, that is told), 1 failed, 2 called wrongly, 3 something is.
`
