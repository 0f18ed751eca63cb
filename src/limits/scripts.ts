/**
 * The limits in Lua, each one round trip and atomic. Windows are window.ts's: a hash of bucket -> amount, `born` names its life, so that what
 * was reserved in a window that Redis has lost is not given back to its successor. Streams are a sorted set of leases by their end.
 */

/** ARGV[1] is a test's clock, or '' for Redis's own: the replicas' clocks do not matter. */
const NOW = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
`

/**
 * KEYS: requests, tokens, day, streams.
 * ARGV: now, id of this request, tokens, '1' for a stream, lease in ms;
 * then the limits of requests, tokens, day and streams or '' for none; then bucket and buckets of the minute and of the day.
 * Returns {admitted, then for requests, tokens, day: used, reset, wait, bucket, born; then streams: used, 1 where they stand in the way}.
 */
export const ADMIT = `${NOW}
local id, tokens, streaming, lease = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])

local function read(key, limit, cost, ms, buckets)
  local window = { key = key, cost = cost, ms = ms, buckets = buckets, used = 0, reset = 0, wait = 0, head = math.floor(now / ms), born = '' }
  limit = tonumber(limit)
  if not limit then return window end
  window.limited = true
  local amounts, gone, newest = {}, {}, nil
  local all = redis.call('HGETALL', key)
  for at = 1, #all, 2 do
    local bucket = tonumber(all[at])
    if not bucket then window.born = all[at + 1]
    elseif bucket < window.head - buckets then gone[#gone + 1] = all[at]
    else
      local amount = tonumber(all[at + 1])
      amounts[bucket] = amount
      window.used = window.used + amount
      if amount ~= 0 and (not newest or bucket > newest) then newest = bucket end
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  if newest then window.reset = (newest + buckets + 1) * ms - now end
  local left = window.used
  for bucket = window.head - buckets, window.head do
    if left + cost <= limit then break end
    left = left - (amounts[bucket] or 0)
    window.wait = (bucket + buckets + 1) * ms - now
  end
  return window
end

local function charge(window)
  if not window.limited then return end
  if window.born == '' then
    window.born = id
    redis.call('HSET', window.key, 'born', id)
  end
  redis.call('HINCRBY', window.key, string.format('%d', window.head), string.format('%d', window.cost))
  redis.call('PEXPIRE', window.key, (window.buckets + 1) * window.ms)
  window.used = window.used + window.cost
  if window.cost > 0 then window.reset = (window.head + window.buckets + 1) * window.ms - now end
end

local requests = read(KEYS[1], ARGV[6], 1, tonumber(ARGV[10]), tonumber(ARGV[11]))
local minute = read(KEYS[2], ARGV[7], tokens, tonumber(ARGV[10]), tonumber(ARGV[11]))
local day = read(KEYS[3], ARGV[8], tokens, tonumber(ARGV[12]), tonumber(ARGV[13]))
local most, open, full = tonumber(ARGV[9]), 0, 0
if most then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%d', now))
  open = redis.call('ZCARD', KEYS[4])
  if streaming and open >= most then full = 1 end
end

local admitted = 0
if requests.wait == 0 and minute.wait == 0 and day.wait == 0 and full == 0 then
  admitted = 1
  charge(requests)
  charge(minute)
  charge(day)
  if most and streaming then
    redis.call('ZADD', KEYS[4], string.format('%d', now + lease), id)
    redis.call('PEXPIRE', KEYS[4], lease)
    open = open + 1
  end
end
return {
  admitted,
  requests.used, requests.reset, requests.wait, requests.head, requests.born,
  minute.used, minute.reset, minute.wait, minute.head, minute.born,
  day.used, day.reset, day.wait, day.head, day.born,
  open, full
}
`

/**
 * KEYS: tokens, day, streams. ARGV: id of the request, difference; then for tokens and day: bucket or '', born; '1' where it had a stream.
 * Only what is still there is changed: nothing comes into being.
 */
export const SETTLE = `
local function settle(key, bucket, born)
  if bucket == '' or redis.call('HGET', key, 'born') ~= born then return end
  if redis.call('HEXISTS', key, bucket) == 1 then redis.call('HINCRBY', key, bucket, ARGV[2]) end
end
settle(KEYS[1], ARGV[3], ARGV[4])
settle(KEYS[2], ARGV[5], ARGV[6])
if ARGV[7] == '1' then redis.call('ZREM', KEYS[3], ARGV[1]) end
`

/**
 * KEYS: the streams of one key. ARGV: now, lease in ms, then the ids that run on.
 * Also what has lapsed is written anew: the stream runs, so it counts.
 */
export const RENEW = `${NOW}
for at = 3, #ARGV do redis.call('ZADD', KEYS[1], string.format('%d', now + ARGV[2]), ARGV[at]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`
