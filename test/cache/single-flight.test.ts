import t from 'tap'
import { memoryCache } from '../../src/cache/memory.ts'
import { makeFlights } from '../../src/cache/single-flight.ts'
import { flightsContract } from '../contracts/flights.ts'

flightsContract(t, async () => {
  const cache = memoryCache(8_000_000)
  return { cache, flights: makeFlights(cache) }
})
