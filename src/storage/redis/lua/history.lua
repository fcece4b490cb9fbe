--[[ Included before the scripts that position or read entries: which history of a job a store has.

  The fields of a job that say so:
    generation  identity of the history that the store has written last
    store       "<identity> <seq>": the store that wrote last, and how far
    forks       "<epoch> <seq>,...": the epochs before, oldest first, and up to which seq each is the beginning of this history

  A store with another identity was restarted, restored or promoted. It may lack the last writes: it has the beginning of the history, and what it writes is
  another one. So its first write draws a new generation. Until then its epoch is "<generation>-<identity>", which is good as far as its generation is.
  An older version does not write `store`. Nobody knows on which store its entries were written, so they are good on the one that has them.
]]
local MAX_FORKS = 16

-- The epoch of a job, as clients see it. job: table with generation, seq (number), store, forks.
local function epoch_of(job, store)
  if string.match(job.store or '', '^%S+') == store then return job.generation end
  return job.generation .. '-' .. store
end

-- Up to which seq an epoch is the beginning of this history; -1 where it is not.
local function good_until(job, store, epoch)
  if epoch == epoch_of(job, store) then return job.seq end
  local base, good = string.match(epoch, '^([^-]*)'), -1
  if base == job.generation then good = tonumber(string.match(job.store or '', ' (%d+)$')) or -1 end
  for past, upto in string.gmatch(job.forks or '', '([^, ]+) (%d+)') do
    if past == epoch or past == base then good = tonumber(upto) end
  end
  return good
end

-- Before a store writes entries: draws the generation of what it writes, where its history is another one than the last store's.
local function take_over(hash, job, store)
  local last, upto = string.match(job.store or '', '^(%S+) (%d+)$')
  if last == store then return end
  local forks = {}
  for fork in string.gmatch(job.forks or '', '[^,]+') do table.insert(forks, fork) end
  if last then table.insert(forks, job.generation .. ' ' .. upto) end
  if tonumber(upto) ~= job.seq then table.insert(forks, epoch_of(job, store) .. ' ' .. job.seq) end
  local kept = table.concat(forks, ',', math.max(1, #forks - MAX_FORKS + 1))
  job.generation = string.sub(redis.sha1hex(job.generation .. store), 1, 12)
  redis.call('HSET', hash, 'generation', job.generation, 'forks', kept)
end
