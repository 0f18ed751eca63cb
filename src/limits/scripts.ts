/**
 * The limits in Lua, each one round trip and atomic. A window is window.ts's: a hash of bucket -> amount with their sum (`used`), the newest
 * bucket that it has seen (`last`), and `born`, the name of its life, so that what was reserved in a window that ended, or that Redis lost, is not
 * given back to its successor. Streams are a sorted set of leases by their end.
 */

/** ARGV[1] is a test's clock, or '' for Redis's own: the replicas' clocks do not matter. Numbers are written whole, for Lua would shorten them. */
const NOW = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function whole(number) return string.format('%d', number) end
`

/**
 * KEYS: requests, tokens, day, streams.
 * ARGV: now, id of this request, tokens, '1' for a stream, lease in ms;
 * then the limits of requests, tokens, day and streams or '' for none; then bucket and buckets of the minute and of the day.
 * Returns {admitted, then for requests, tokens, day: used, reset, wait, bucket, born; then streams: used, 1 where they stand in the way}.
 */
export const ADMIT = `${NOW}
local id, tokens, streaming, lease = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])

local function leaves(window, bucket) return (bucket + window.buckets + 1) * window.ms - now end

-- drops what has left since the window was last seen, so that a look costs the same however many buckets it has
local function slide(window)
  local kept = redis.call('HMGET', window.key, 'born', 'used', 'last')
  if not kept[1] then return end
  local last = tonumber(kept[3])
  -- written by a clock that was far ahead of today's: it would never slide on
  if last > window.head + window.buckets then redis.call('DEL', window.key) return end
  window.born, window.used, window.head = kept[1], tonumber(kept[2]), math.max(window.head, last)
  local gone = {}
  for bucket = last - window.buckets, math.min(last, window.head - window.buckets - 1) do gone[#gone + 1] = whole(bucket) end
  if #gone == 0 then return end
  for _, amount in ipairs(redis.call('HMGET', window.key, unpack(gone))) do window.used = window.used - (tonumber(amount) or 0) end
  redis.call('HDEL', window.key, unpack(gone))
  redis.call('HSET', window.key, 'used', whole(window.used), 'last', whole(window.head))
end

local function open(key, limit, cost, ms, buckets)
  ms = tonumber(ms)
  local window = { key = key, limit = tonumber(limit), cost = cost, ms = ms, buckets = tonumber(buckets), head = math.floor(now / ms), born = '', used = 0, reset = 0, wait = 0 }
  if window.limit then slide(window) end
  window.full = window.limit and window.used + cost > window.limit
  return window
end

local function charge(window)
  if not window.limit then return end
  if window.born == '' then window.born = id end
  window.used = window.used + window.cost
  redis.call('HINCRBY', window.key, whole(window.head), whole(window.cost))
  redis.call('HSET', window.key, 'born', window.born, 'used', whole(window.used), 'last', whole(window.head))
  redis.call('PEXPIRE', window.key, (window.buckets + 1) * window.ms)
  if window.used > 0 then window.reset = leaves(window, window.head) end
end

-- only for whoever is refused: when there is room, and when all of it is free
local function measure(window)
  if not window.limit or window.used == 0 then return end
  local amounts, left = {}, window.used
  local all = redis.call('HGETALL', window.key)
  for at = 1, #all, 2 do amounts[all[at]] = tonumber(all[at + 1]) end
  for bucket = window.head - window.buckets, window.head do
    local amount = amounts[whole(bucket)] or 0
    if left + window.cost > window.limit then window.wait = leaves(window, bucket) end
    if amount ~= 0 then window.reset = leaves(window, bucket) end
    left = left - amount
  end
end

local requests = open(KEYS[1], ARGV[6], 1, ARGV[10], ARGV[11])
local minute = open(KEYS[2], ARGV[7], tokens, ARGV[10], ARGV[11])
local day = open(KEYS[3], ARGV[8], tokens, ARGV[12], ARGV[13])
local most, running, full = tonumber(ARGV[9]), 0, 0
if most then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', whole(now))
  running = redis.call('ZCARD', KEYS[4])
  if streaming and running >= most then full = 1 end
end

local admitted = not (requests.full or minute.full or day.full or full == 1)
local tell = admitted and charge or measure
tell(requests)
tell(minute)
tell(day)
if admitted and most and streaming then
  redis.call('ZADD', KEYS[4], whole(now + lease), id)
  redis.call('PEXPIRE', KEYS[4], lease)
  running = running + 1
end
return {
  admitted and 1 or 0,
  requests.used, requests.reset, requests.wait, requests.head, requests.born,
  minute.used, minute.reset, minute.wait, minute.head, minute.born,
  day.used, day.reset, day.wait, day.head, day.born,
  running, full
}
`

/**
 * KEYS: tokens, day, streams. ARGV: id of the request, difference; then for tokens and day: bucket or '', born, buckets; '1' where it had a stream.
 * A bucket that has left its window is not touched, and a window that has ended does not come into being again.
 */
export const SETTLE = `
local function settle(key, bucket, born, buckets)
  if bucket == '' then return end
  local kept = redis.call('HMGET', key, 'born', 'last')
  if kept[1] ~= born or tonumber(bucket) < tonumber(kept[2]) - tonumber(buckets) then return end
  redis.call('HINCRBY', key, bucket, ARGV[2])
  redis.call('HINCRBY', key, 'used', ARGV[2])
end
settle(KEYS[1], ARGV[3], ARGV[4], ARGV[5])
settle(KEYS[2], ARGV[6], ARGV[7], ARGV[8])
if ARGV[9] == '1' then redis.call('ZREM', KEYS[3], ARGV[1]) end
`

/**
 * KEYS: the streams of one key. ARGV: now, lease in ms, then the ids that run on.
 * Also what has lapsed is written anew: the stream runs, so it counts.
 */
export const RENEW = `${NOW}
for at = 3, #ARGV do redis.call('ZADD', KEYS[1], whole(now + ARGV[2]), ARGV[at]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`
